/** The styles of a model as pictures of the visitor's own first frame. A second style can be blended in. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import type { StylePictures } from '../../contract.ts';
import { type Html, h, html } from '../html.ts';
import { resync } from '../live.ts';
import { Notice } from '../parts/notice.ts';
import { type ApiFailure, asFailure, send } from '../server.ts';
import { blendedShare, blendedStyle, chosenStyle, refuseFiles } from './draft.ts';

/** Between two questions which pictures are made. */
const ASK_AGAIN_MS = 700;

interface StyleChoiceOptions {
  readonly uploadId: string;
  /** Changes when a file is taken out. */
  readonly fileCount: number;
  readonly model: string;
}

export function StyleChoice({ uploadId, fileCount, model }: StyleChoiceOptions): Html {
  const loaded = useSignal<{ readonly model: string; readonly pictures: StylePictures } | undefined>(
    undefined,
  );
  const pictures = loaded.value?.model === model ? loaded.value.pictures : undefined;
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const turn = useSignal(0);
  useEffect(() => {
    const abort = new AbortController();
    const load = async () => {
      try {
        while (!abort.signal.aborted) {
          const made = await askForPictures({ uploadId, model }, abort.signal);
          loaded.value = { model, pictures: made };
          if (made.trouble !== null || made.styles.every(({ url }) => url !== null)) return;
          await pause(ASK_AGAIN_MS);
        }
      } catch (error) {
        if (abort.signal.aborted) return;
        const found = asFailure(error);
        if (!refuseFiles(found)) failure.value = found;
      }
    };
    failure.value = undefined;
    void load();
    return () => abort.abort();
  }, [uploadId, fileCount, model, turn.value, resync.value]);
  useEffect(() => {
    const [first] = pictures?.styles ?? [];
    if (chosenStyle.peek() === null && first !== undefined) chosenStyle.value = first.name;
  }, [pictures]);
  if (failure.value !== undefined) {
    const again = () => {
      turn.value += 1;
    };
    return h(Notice, { trouble: failure.value, retry: again });
  }
  if (pictures === undefined) return html`<p class="empty">Reading the first frame…</p>`;
  return html` ${h(StyleGrid, { pictures })} ${h(Blend, { styles: pictures.styles })} `;
}

async function askForPictures(
  { uploadId, model }: Pick<StyleChoiceOptions, 'uploadId' | 'model'>,
  abort: AbortSignal,
): Promise<StylePictures> {
  return send<StylePictures>('POST', `uploads/${uploadId}/styles`, { body: { model }, signal: abort });
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}

function StyleGrid({ pictures }: { readonly pictures: StylePictures }): Html {
  const shape = { aspectRatio: `${pictures.width} / ${pictures.height}` };
  return html`
    <fieldset class="styles">
      <legend>Style</legend>
      ${pictures.trouble !== null && html`<p class="hint">${pictures.trouble}</p>`}
      ${pictures.styles.map(
        ({ name, title, url }) => html`
          <label key=${name}>
            <input
              type="radio"
              name="style"
              checked=${chosenStyle.value === name}
              onChange=${() => {
                chosenStyle.value = name;
                if (blendedStyle.value === name) blendedStyle.value = null;
              }}
            />
            ${
              pictures.trouble === null &&
              (url === null
                ? html`<span class="being-made" style=${shape}></span>`
                : html`<img src=${url} alt="" style=${shape} />`)
            }
            <span class="name">${title}</span>
          </label>
        `,
      )}
    </fieldset>
  `;
}

function Blend({ styles }: Pick<StylePictures, 'styles'>): Html {
  const others = styles.filter(({ name }) => name !== chosenStyle.value);
  const titleOf = (wanted: string | null) => styles.find(({ name }) => name === wanted)?.title ?? '';
  if (others.length === 0) return null;
  return html`
    <div class="blend">
      <label class="inline">
        Blend with
        <select value=${blendedStyle.value ?? ''} onChange=${chooseBlended}>
          <option value="" selected=${blendedStyle.value === null}>no other style</option>
          ${others.map(({ name, title }) => html`<option value=${name} selected=${name === blendedStyle.value}>${title}</option>`)}
        </select>
      </label>
      ${
        blendedStyle.value !== null &&
        html`
          <label class="inline">
            ${100 - blendedShare.value} % ${titleOf(chosenStyle.value)}
            <input
              type="range"
              min="0"
              max="100"
              step="5"
              value=${blendedShare.value}
              aria-label=${`Share of ${titleOf(blendedStyle.value)}`}
              aria-valuetext=${`${blendedShare.value} %`}
              onInput=${(event: Event) => {
                blendedShare.value = Number((event.target as HTMLInputElement).value);
              }}
            />
            ${blendedShare.value} % ${titleOf(blendedStyle.value)}
          </label>
        `
      }
    </div>
  `;
}

function chooseBlended(event: Event): void {
  const { value } = event.target as HTMLSelectElement;
  blendedStyle.value = value === '' ? null : value;
}
