import { Platform } from "react-native";

/** That a button is pressed in, in the words of the browser or of the phone. */
export function pressed(is: boolean): object {
  return Platform.OS === "web" ? { "aria-pressed": is } : { "aria-selected": is };
}
