/** What a view asks the server for: loading, content or failure. Asks again when the path changes or the connection is back. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import { resync } from '../live.ts';
import { type ApiFailure, asFailure, ask } from '../server.ts';

interface Resource<T> {
  /** Stays until the next content is there, so that nothing jumps. */
  readonly content: T | undefined;
  readonly failure: ApiFailure | undefined;
  readonly reload: () => void;
}

export function useResource<T>(path: string): Resource<T> {
  const content = useSignal<T | undefined>(undefined);
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const turn = useSignal(0);
  useEffect(() => {
    const abort = new AbortController();
    const load = async () => {
      try {
        content.value = await ask<T>(path, abort.signal);
        failure.value = undefined;
      } catch (error) {
        if (!abort.signal.aborted) failure.value = asFailure(error);
      }
    };
    void load();
    return () => abort.abort();
  }, [path, turn.value, resync.value]);
  return {
    content: content.value,
    failure: failure.value,
    reload: () => {
      turn.value += 1;
    },
  };
}
