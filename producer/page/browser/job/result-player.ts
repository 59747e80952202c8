/** The result in a player, or as a file to save. */
import type { JobDetail } from '../../contract.ts';
import { sizeText } from '../format.ts';
import { type Html, html } from '../html.ts';

interface ResultPlayerOptions {
  readonly jobId: string;
  readonly result: NonNullable<JobDetail['result']>;
}

export function ResultPlayer({ jobId, result }: ResultPlayerOptions): Html {
  const { name, sizeBytes, isPlayable } = result;
  const address = `/api/jobs/${jobId}/result`;
  return html`
    <section class="result" aria-labelledby="result-title">
      <h2 id="result-title">Result</h2>
      ${isPlayable && html`<video src=${address} controls playsinline preload="metadata" aria-label=${name}></video>`}
      <p>
        <a class="button" href=${`${address}?download=1`} download=${name}
          >Save ${name} (${sizeText(sizeBytes)})</a
        >
      </p>
    </section>
  `;
}
