/**
 * The last lines a program wrote to stderr, in bounded memory.
 *
 * Promises: at most LINES_MAX lines of LINE_CHARACTERS_MAX characters, printable, equal neighbours once, and without
 * the addresses ffmpeg puts into its prefixes, so that the same fault gives the same text in every run.
 */
const LINES_MAX = 20;
const LINE_CHARACTERS_MAX = 300;

export class StderrTail {
  readonly #lines: string[] = [];
  #rest = '';

  push(text: string): void {
    const [first = '', ...others] = text.split(/[\r\n]+/);
    this.#rest = (this.#rest + first).slice(0, LINE_CHARACTERS_MAX);
    for (const part of others) {
      this.#keep(this.#rest);
      this.#rest = part.slice(0, LINE_CHARACTERS_MAX);
    }
  }

  /** The lines so far, the unfinished one included; nothing can be pushed after this without starting a new line. */
  lines(): readonly string[] {
    this.#keep(this.#rest);
    this.#rest = '';
    return [...this.#lines];
  }

  #keep(raw: string): void {
    const line = raw
      .replaceAll(/ @ 0x[0-9a-f]+/g, '')
      .replaceAll(/\p{Cc}/gu, ' ')
      .trim();
    if (line === '' || line === this.#lines.at(-1)) return;
    this.#lines.push(line);
    if (this.#lines.length > LINES_MAX) this.#lines.shift();
  }
}
