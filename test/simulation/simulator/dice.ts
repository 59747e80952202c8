/** Draws random values for a scenario. PURE in itself: all randomness comes from the given sequence, so a seed replays it. */
export class Dice {
  readonly #next: () => number;

  /** `next` returns numbers from 0 up to 1. */
  constructor(next: () => number) {
    this.#next = next;
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  between(min: number, max: number): number {
    return min + this.#next() * (max - min);
  }

  whole(min: number, max: number): number {
    return Math.floor(this.between(min, max + 1));
  }

  /** Mostly small values, sometimes large ones: uniform over orders of magnitude. */
  spread(min: number, max: number): number {
    return min * (max / min) ** this.#next();
  }

  /** An exponentially distributed duration with this mean. */
  wait(mean: number): number {
    return -mean * Math.log(1 - this.#next());
  }

  pick<const T>(items: readonly [T, ...T[]]): T {
    return items[Math.min(items.length - 1, Math.floor(this.#next() * items.length))] ?? items[0];
  }
}
