/** The machines by phase: a mark for each, and the counts. */
import { countWithNoun } from '../format.ts';
import { type Html, html } from '../html.ts';

/** More machines than this are counted only. */
const MARKS_MAX = 60;

type Counts = Readonly<Record<string, number>>;

export function MachineCounts({ machines }: { readonly machines: Counts }): Html {
  const phases = Object.entries(machines).filter(([, count]) => count > 0);
  const total = phases.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return html`<p class="machines none">No machine runs.</p>`;
  return html`
    <div class="machines">
      ${
        total <= MARKS_MAX &&
        html`<p class="marks" aria-hidden="true">
          ${phases.flatMap(([phase, count]) =>
            Array.from(
              { length: count },
              (_, number) => html`<i key=${`${phase}${number}`} data-phase=${phase}></i>`,
            ),
          )}
        </p>`
      }
      <p>
        ${countWithNoun(total, 'machine')}: ${phases.map(([phase, count]) => `${count} ${phase}`).join(', ')}
      </p>
    </div>
  `;
}
