/**
 * Which models a worker runs in float32, because float16 has failed. Kept by the worker, because an engine may die of it. PURE.
 *
 * A driver may crash on the first frame in float16, or while it loads the model. An engine that has computed a frame died of something else.
 */

/** Models to remember. The oldest are forgotten: then float16 fails once more. */
const MODELS_MAX = 100;

/** Models are named by their hashes. */
export class HalfRecord {
  readonly #refused = new Set<string>();
  /** By the engine that runs now. */
  readonly #computed = new Set<string>();

  mayUse(model: string): boolean {
    return !this.#refused.has(model);
  }

  refuse(model: string): void {
    this.#refused.add(model);
    const [oldest] = this.#refused;
    if (this.#refused.size > MODELS_MAX && oldest !== undefined) this.#refused.delete(oldest);
  }

  /** The engine has computed a frame of this model. */
  computed(model: string): void {
    this.#computed.add(model);
  }

  /** The engine has ended in these runs, of a crash or otherwise. A lack of memory is no crash: float32 needs more. */
  ended(runs: readonly { readonly model: string }[], { isCrash }: { readonly isCrash: boolean }): void {
    for (const { model } of runs) if (isCrash && !this.#computed.has(model)) this.refuse(model);
    this.#computed.clear();
  }
}
