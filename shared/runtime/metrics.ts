/** Creates a room's registry of metrics, with the default metrics of Node and the process. */
import { Registry, collectDefaultMetrics } from 'prom-client';

export { Counter, Gauge, type Registry } from 'prom-client';

/** Gauges of prom-client with the name of a counter, which promtool rejects. The same numbers by type remain. */
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
