/** A list in a sentence. PURE. */

/** `a, b, c and 2 more`. */
export function listText(items: readonly string[], max: number): string {
  const shown = items.slice(0, max).join(', ');
  return items.length > max ? `${shown} and ${items.length - max} more` : shown;
}
