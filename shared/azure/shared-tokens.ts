/**
 * Shares the tokens of an identity among all its calls. Fetching a token may take longer than a try of a call, because it
 * probes for a managed identity or runs `az`. A try that ends stops waiting, but the fetch goes on, and the next try uses it.
 */
import type { BlobServiceClient } from '@azure/storage-blob';

import { systemClock } from '../runtime/clock.ts';

export type TokenCredential = Extract<BlobServiceClient['credential'], { getToken: unknown }>;
type Token = Awaited<ReturnType<TokenCredential['getToken']>>;
type AbortSignalLike = NonNullable<NonNullable<Parameters<TokenCredential['getToken']>[1]>['abortSignal']>;

/** Longer than the last two minutes of a token's life, in which the SDK requests another one. */
const REMAINING_MS_MIN = 5 * 60_000;

export function sharedTokens(identity: TokenCredential): TokenCredential {
  const fetching = new Map<string, Promise<Token>>();
  const cached = new Map<string, Token>();

  const fetch = async (key: string, get: () => Promise<Token>): Promise<Token> => {
    try {
      const token = await get();
      cached.set(key, token);
      return token;
    } finally {
      fetching.delete(key);
    }
  };
  return {
    getToken: async (scopes, { abortSignal, ...options } = {}) => {
      // A response to a challenge is valid for that challenge only.
      if (options.claims !== undefined) return identity.getToken(scopes, options);
      const key = JSON.stringify([scopes, options.tenantId]);
      const token = cached.get(key);
      if (token && token.expiresOnTimestamp - systemClock.now().getTime() > REMAINING_MS_MIN) return token;
      let pending = fetching.get(key);
      if (pending === undefined) {
        pending = fetch(key, () => identity.getToken(scopes, options));
        fetching.set(key, pending);
      }
      return unlessAborted(pending, abortSignal);
    },
  };
}

function unlessAborted<T>(pending: Promise<T>, signal: AbortSignalLike | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new DOMException('no longer waiting for the token', 'AbortError'));
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort);
    const settle = (): void => signal?.removeEventListener('abort', onAbort);
    pending.finally(settle).then(resolve, reject);
  });
}
