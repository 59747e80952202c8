/** A room's metrics: one registry each, with what Node and the process say of themselves. */
import { Registry, collectDefaultMetrics } from 'prom-client';

export { Counter, Gauge, type Registry } from 'prom-client';

/** Gauges of the library's with a counter's name, which Prometheus' own check refuses. The same numbers by type remain. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  return registry;
}
