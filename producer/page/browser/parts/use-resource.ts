/** What a view asks the server for: loading, content or failure. Asks again when the path changes or the connection is back. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import { resync } from '../live.ts';
import { type ApiFailure, asFailure, ask } from '../server.ts';

interface Resource<T> {
  /** Stays until the next content is there, so that nothing jumps. */
  readonly content: T | undefined;
  /** The content is of this path, not of one before. */
  readonly isCurrent: boolean;
  readonly failure: ApiFailure | undefined;
  readonly reload: () => void;
}

export function useResource<T>(path: string): Resource<T> {
  const loaded = useSignal<{ readonly path: string; readonly content: T } | undefined>(undefined);
  const failure = useSignal<ApiFailure | undefined>(undefined);
  const turn = useSignal(0);
  useEffect(() => {
    const abort = new AbortController();
    const load = async () => {
      try {
        loaded.value = { path, content: await ask<T>(path, abort.signal) };
        failure.value = undefined;
      } catch (error) {
        if (!abort.signal.aborted) failure.value = asFailure(error);
      }
    };
    void load();
    return () => abort.abort();
  }, [path, turn.value, resync.value]);
  return {
    content: loaded.value?.content,
    isCurrent: loaded.value?.path === path,
    failure: failure.value,
    reload: () => {
      turn.value += 1;
    },
  };
}
