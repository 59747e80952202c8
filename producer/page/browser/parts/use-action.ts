/** A change that the visitor asks for: one at a time, with its failure. */
import { useSignal } from '@preact/signals';

import { type ApiFailure, asFailure } from '../server.ts';

interface Action {
  readonly isRunning: boolean;
  readonly failure: ApiFailure | undefined;
  readonly run: (change: () => Promise<void>) => void;
}

export function useAction(): Action {
  const isRunning = useSignal(false);
  const failure = useSignal<ApiFailure | undefined>(undefined);
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
