/** A room's metrics: one registry each, with what Node and the process say of themselves. */
import { Registry, collectDefaultMetrics } from 'prom-client';

export { Counter, Gauge, type Registry } from 'prom-client';

export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
