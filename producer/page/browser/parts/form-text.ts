/** What a visitor has typed into a form. */

/** The fields by name, without the empty ones. */
export function textsIn(event: SubmitEvent): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const [name, value] of new FormData(event.target as HTMLFormElement))
    if (typeof value === 'string' && value.trim() !== '') texts.set(name, value.trim());
  return texts;
}
