/** PURE. A growing list of timestamps: 8 bytes each, and no object of its own, so that millions of them do not fill the memory. */

const CAPACITY_FIRST = 1_024;

export class TickList {
  #ticks = new Float64Array(CAPACITY_FIRST);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(ticks: number): void {
    if (this.#length === this.#ticks.length) {
      const larger = new Float64Array(this.#ticks.length * 2);
      larger.set(this.#ticks);
      this.#ticks = larger;
    }
    this.#ticks[this.#length] = ticks;
    this.#length += 1;
  }

  /** All timestamps so far. Valid until the next `append`. */
  view(): Float64Array {
    return this.#ticks.subarray(0, this.#length);
  }
}
