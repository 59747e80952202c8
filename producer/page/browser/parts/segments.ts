/** A choice of one among a few, side by side. */
import { type Html, html } from '../html.ts';

interface SegmentsOptions<T> {
  /** Of the group, for screen readers, and for eyes if `isTitled`. */
  readonly title: string;
  readonly isTitled?: boolean;
  /** Of the radio buttons: unique in the document. */
  readonly name: string;
  readonly choices: readonly { readonly value: T; readonly label: string }[];
  readonly chosen: T | undefined;
  readonly onChoose: (value: T) => void;
}

export function Segments<T>({
  title,
  isTitled = false,
  name,
  choices,
  chosen,
  onChoose,
}: SegmentsOptions<T>): Html {
  return html`
    <fieldset class="segments">
      <legend class=${isTitled ? '' : 'unseen'}>${title}</legend>
      ${choices.map(
        ({ value, label }) => html`
          <label>
            <input type="radio" name=${name} checked=${value === chosen} onChange=${() => onChoose(value)} />
            <span>${label}</span>
          </label>
        `,
      )}
    </fieldset>
  `;
}
