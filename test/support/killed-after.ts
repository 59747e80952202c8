/** Simulates a program that is killed right after one of its calls: the call takes effect, and nothing after it happens. */

class KilledError extends Error {}

/** Counts calls of the methods named, over everything it watches; after call number `killAt`, every call throws. */
export class KilledAfter {
  readonly #killAt: number;
  #calls = 0;

  constructor(killAt: number) {
    this.#killAt = killAt;
  }

  get isKilled(): boolean {
    return this.#calls >= this.#killAt;
  }

  watch<T extends object>(target: T, methods: readonly (keyof T & string)[]): T {
    return new Proxy(target, {
      get: (_, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        const call = member.bind(target) as (...args: unknown[]) => unknown;
        if (!(methods as readonly (string | symbol)[]).includes(name)) return call;
        return async (...args: unknown[]): Promise<unknown> => {
          if (this.isKilled) throw new KilledError('killed');
          const result = await call(...args);
          this.#calls += 1;
          if (this.isKilled) throw new KilledError('killed');
          return result;
        };
      },
    });
  }
}
