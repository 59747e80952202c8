/**
 * Keeps the last lines that a program wrote to stderr, in bounded memory.
 *
 * It keeps at most LINES_MAX printable lines of LINE_CHARACTERS_MAX characters, and drops a line that repeats the one before.
 * It removes the memory addresses from ffmpeg's prefixes, so that the same fault gives the same text in every run.
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

  /** The lines so far, including the unfinished one. Text pushed after this call starts a new line. */
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
