/** Whether a person wants less motion. */

import { useEffect, useState } from "react";
import { AccessibilityInfo } from "react-native";

export function useReduceMotion(): boolean {
  const [reduce, setReduce] = useState(false);
  useEffect(() => {
    let isThere = true;
    void AccessibilityInfo.isReduceMotionEnabled().then((is) => isThere && setReduce(is));
    const watching = AccessibilityInfo.addEventListener("reduceMotionChanged", setReduce);
    return () => {
      isThere = false;
      watching.remove();
    };
  }, []);
  return reduce;
}
