/** A change that the visitor asks for: one at a time, with its failure. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import { resync } from '../live.ts';
import { type ApiFailure, asFailure, isUnreachable } from '../server.ts';

interface Action {
  readonly isRunning: boolean;
  readonly failure: ApiFailure | undefined;
  readonly run: (change: () => Promise<void>) => void;
}

export function useAction(): Action {
  const isRunning = useSignal(false);
  const failure = useSignal<ApiFailure | undefined>(undefined);
  useEffect(() => {
    // The connection is back: its loss is no news any more.
    if (isUnreachable(failure.peek())) failure.value = undefined;
  }, [resync.value]);
  const run = async (change: () => Promise<void>) => {
    if (isRunning.peek()) return;
    isRunning.value = true;
    failure.value = undefined;
    try {
      await change();
    } catch (error) {
      failure.value = asFailure(error);
    } finally {
      isRunning.value = false;
    }
  };
  return {
    isRunning: isRunning.value,
    failure: failure.value,
    run: (change) => void run(change),
  };
}
