/** One text. `{name}` stands for a value; where a count decides, there are two forms. */
export type Message = string | { one: string; other: string };
