/** What a scaler remembered, as another one or a later release finds it: taken as it is, or not at all. PURE. */
import { type Memory, NOTHING_REMEMBERED } from './memory.ts';

/** Undefined where it is not of the shape that is remembered today. Losing it is safe: see `memory.ts`. */
export function savedMemory(saved: unknown): Memory | undefined {
  if (typeof saved !== 'object' || saved === null) return undefined;
  const isSame = Object.entries(NOTHING_REMEMBERED).every(
    ([name, value]) => name in saved && kindOf(saved[name as keyof typeof saved]) === kindOf(value),
  );
  return isSame ? (saved as Memory) : undefined;
}

/** What may be null in one may be an object in the other. */
function kindOf(value: unknown): string {
  return typeof value;
}
