/** What is backed up now. */

import type { TableList } from "@gasrapido/backup-client";
import { useEffect, useState } from "react";
import { useScreen } from "../context";
import { useAction } from "../data/useAction";
import { EVERYTHING } from "../model/copy";
import { Button } from "../parts/Button";
import { Choice, Choices } from "../parts/Choice";
import { Sheet } from "../parts/Sheet";
import { Trouble } from "../parts/Trouble";

export function BackUpSheet({ onClose }: { onClose: () => void }) {
  const { words, seen, store, testID } = useScreen();
  const [source, setSource] = useState(EVERYTHING);
  const [inside, setInside] = useState<TableList>();
  const start = useAction(async () => {
    await store.startBackup(source);
    onClose();
  });
  const last = seen.summary?.lastGood?.id;
  useEffect(() => {
    let isThere = true;
    // Without it there is still everything to choose.
    if (last !== undefined) store.service.tables(last).then((list) => isThere && setInside(list), () => undefined);
    return () => {
      isThere = false;
    };
  }, [store, last]);
  const schemas = [...new Set((inside?.tables ?? []).map((table) => table.schema))].filter((name) => !name.startsWith("pg_")).sort();
  // One name means both.
  const buckets = (inside?.buckets ?? []).map(({ bucket }) => bucket).filter((bucket) => !schemas.includes(bucket));
  const hint = words.t("backUp.part.hint");
  const id = `${testID}.backUpSheet`;
  return (
    <Sheet
      title={words.t("backUp.heading")}
      onClose={onClose}
      testID={id}
      footer={<Button kind="primary" label={words.t("backUp.start")} onPress={() => void start.run()} busy={start.busy} testID={`${id}.start`} />}
    >
      <Choices label={words.t("backUp.heading")}>
        <Choice label={words.t("backUp.everything")} hint={words.t("backUp.everything.hint")} chosen={source === EVERYTHING} onChoose={() => setSource(EVERYTHING)} testID={`${id}.all`} />
        {schemas.map((name) => (
          <Choice key={`s.${name}`} label={words.t("backUp.schema", { name })} hint={hint} chosen={source === name} onChoose={() => setSource(name)} testID={`${id}.schema.${name}`} />
        ))}
        {buckets.map((bucket) => (
          <Choice key={`b.${bucket}`} label={words.t("backUp.bucket", { name: bucket })} hint={hint} chosen={source === bucket} onChoose={() => setSource(bucket)} testID={`${id}.bucket.${bucket}`} />
        ))}
      </Choices>
      <Trouble problem={start.problem} />
    </Sheet>
  );
}
