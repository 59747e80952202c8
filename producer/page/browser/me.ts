/** Who looks at the page, and what the server offers. */
import { computed, signal } from '@preact/signals';

import type { Me } from '../contract.ts';

/** Undefined until the server has answered. */
export const me = signal<Me | undefined>(undefined);

/** Without prices, every amount is 0 and not shown. */
export const hasPrices = computed(() => me.value?.hasPrices ?? false);
