/**
 * The tokens of one identity, shared by all its calls. To fetch one may take longer than a try of a call: a probe for a
 * machine's identity, `az` at a desk. A try that ends only stops waiting; the next finds the token there, or on its way.
 */
import type { BlobServiceClient } from '@azure/storage-blob';

import { systemClock } from '../runtime/clock.ts';

export type TokenCredential = Extract<BlobServiceClient['credential'], { getToken: unknown }>;
type Token = Awaited<ReturnType<TokenCredential['getToken']>>;
type AbortSignalLike = NonNullable<NonNullable<Parameters<TokenCredential['getToken']>[1]>['abortSignal']>;

/** The SDK asks for another one sooner than this only in its last two minutes. */
const FRESH_MS = 5 * 60_000;

export function sharedTokens(identity: TokenCredential): TokenCredential {
  const fetching = new Map<string, Promise<Token>>();
  const known = new Map<string, Token>();

  const fetch = async (key: string, get: () => Promise<Token>): Promise<Token> => {
    try {
      const token = await get();
      known.set(key, token);
      return token;
    } finally {
      fetching.delete(key);
    }
  };
  return {
    getToken: async (scopes, { abortSignal, ...options } = {}) => {
      // An answer to a challenge is for that challenge only.
      if (options.claims !== undefined) return identity.getToken(scopes, options);
      const key = JSON.stringify([scopes, options.tenantId]);
      const token = known.get(key);
      if (token && token.expiresOnTimestamp - systemClock.now().getTime() > FRESH_MS) return token;
      let coming = fetching.get(key);
      if (coming === undefined) {
        coming = fetch(key, () => identity.getToken(scopes, options));
        fetching.set(key, coming);
      }
      return unlessAborted(coming, abortSignal);
    },
  };
}

function unlessAborted<T>(coming: Promise<T>, signal: AbortSignalLike | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new DOMException('nobody waits for the token any more', 'AbortError'));
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort);
    const settle = (): void => signal?.removeEventListener('abort', onAbort);
    coming.finally(settle).then(resolve, reject);
  });
}
