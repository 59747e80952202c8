/**
 * The routes of the fake Azure Resource Manager and their answers.
 *
 *   GET    …/virtualMachineScaleSets/{name}                      the scale set, with its etag
 *   PATCH  …/virtualMachineScaleSets/{name}                      202 and an operation; 412, 409, 429
 *   GET    …/virtualMachineScaleSets/{name}/virtualMachines      in pages
 *   POST   …/virtualMachineScaleSets/{name}/delete               202 and an operation; 404 if none of them exists
 *   POST   …/virtualMachines/{id}/simulateEviction               204
 *   GET    …/locations/{location}/operations/{id}                its status; with `monitor`, 202 until it ends, then 204
 *   GET    …/locations/{location}/usages, …/skus                 quotas, and offered sizes
 *   GET    …/providers                                           resource providers with their registration state
 */
import { z } from 'zod';

import { parseJson } from '../../../shared/contract/parse-json.ts';
import { type Answer, busy, failure, notFound, ok, preconditionFailed, throttled } from './answers.ts';
import { type FakeRegion, LOCATION, RESOURCE_GROUP, SUBSCRIPTION_ID } from './fake-region.ts';
import type { FakeScaleSet } from './fake-scale-set.ts';
import { machineBody } from './machine.ts';
import { type ArmOperation, operationBody } from './operation.ts';
import { skusBody } from './skus.ts';
import type { CallGroup } from './token-buckets.ts';

/** The endpoint in the links of the answers. */
export const ENDPOINT = 'https://management.framefleet.test';
const SUBSCRIPTION = `/subscriptions/${SUBSCRIPTION_ID}`;
const COMPUTE = `${SUBSCRIPTION}/providers/Microsoft.Compute`;
const SCALE_SETS = `${SUBSCRIPTION}/resourceGroups/${RESOURCE_GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets`;
const OPERATION_RETRY_SECONDS = 10;

const patchBody = z.object({ sku: z.object({ name: z.string(), capacity: z.int().min(0) }) });
const deleteBody = z.object({ instanceIds: z.array(z.string()).min(1) });

export interface ArmRequest {
  readonly method: string;
  readonly url: URL;
  readonly body: string;
  readonly ifMatch: string | undefined;
}

export function answerOf(region: FakeRegion, request: ArmRequest): Answer {
  const { method, url } = request;
  const { pathname } = url;
  if (pathname.startsWith(`${SCALE_SETS}/`)) {
    const [name = '', ...rest] = pathname.slice(SCALE_SETS.length + 1).split('/');
    const scaleSet = region.scaleSets.get(name);
    if (scaleSet === undefined) return notFound(`Microsoft.Compute/virtualMachineScaleSets/${name}`);
    return answerOfScaleSet(region, scaleSet, `${method} ${rest.join('/')}`.trim(), request);
  }
  if (method === 'GET' && pathname.startsWith(`${COMPUTE}/locations/${LOCATION}/operations/`))
    return answerOfOperation(region, pathname.split('/').at(-1) ?? '', url.searchParams.has('monitor'));
  if (method === 'GET' && pathname === `${COMPUTE}/locations/${LOCATION}/usages`)
    return ok({ value: region.quotas.usages((quota) => region.coresUsed(quota)) });
  if (method === 'GET' && pathname === `${COMPUTE}/skus`)
    return ok({
      value: skusBody([...region.scaleSets.values()], region.offers, url.searchParams.get('$filter')),
    });
  if (method === 'GET' && pathname === `${SUBSCRIPTION}/providers`)
    return ok({
      value: [...region.providers].map(([namespace, registrationState]) => ({
        namespace,
        registrationState,
      })),
    });
  return notFound(pathname);
}

function answerOfScaleSet(
  region: FakeRegion,
  scaleSet: FakeScaleSet,
  call: string,
  { url, body, ifMatch }: ArmRequest,
): Answer {
  switch (call) {
    case 'GET':
      return metered(region, scaleSet, 'LowCostGet', () => ok(scaleSetBody(scaleSet)));
    case 'PATCH':
      return metered(region, scaleSet, 'UpdateVMScaleSet', () => patch(region, scaleSet, body, ifMatch));
    case 'GET virtualMachines':
      return metered(region, scaleSet, 'HighCostGet', () => machines(region, scaleSet, url));
    case 'POST delete':
      return metered(region, scaleSet, 'DeleteVMScaleSet', () => deleteMachines(scaleSet, body));
  }
  const [, instanceId] = /^POST virtualMachines\/(\d+)\/simulateEviction$/.exec(call) ?? [];
  if (instanceId === undefined || !scaleSet.machines.has(instanceId)) return notFound(call);
  scaleSet.evict(instanceId);
  return { status: 204 };
}

function metered(region: FakeRegion, { spec }: FakeScaleSet, group: CallGroup, answer: () => Answer): Answer {
  const left = region.buckets.take(spec.name, group, region.nowMs);
  if (left < 0) return throttled(group, -left);
  const { headers, ...rest } = answer();
  return {
    ...rest,
    headers: { ...headers, 'x-ms-ratelimit-remaining-resource': `Microsoft.Compute/${group};${left}` },
  };
}

function scaleSetBody({ spec, capacity, provisioningState, etag }: FakeScaleSet) {
  return {
    id: `${SCALE_SETS}/${spec.name}`,
    name: spec.name,
    type: 'Microsoft.Compute/virtualMachineScaleSets',
    location: LOCATION,
    sku: { name: spec.size, tier: 'Standard', capacity },
    etag,
    ...(spec.zones === undefined ? {} : { zones: spec.zones }),
    properties: { provisioningState, orchestrationMode: 'Uniform', overprovision: false },
  };
}

function patch(
  region: FakeRegion,
  scaleSet: FakeScaleSet,
  body: string,
  ifMatch: string | undefined,
): Answer {
  const { spec } = scaleSet;
  const parsed = patchBody.safeParse(parseJson(body));
  if (!parsed.success || parsed.data.sku.name !== spec.size)
    return failure(400, 'InvalidParameter', 'The value of parameter sku is invalid.');
  const { capacity } = parsed.data.sku;
  if (ifMatch !== undefined && ifMatch !== scaleSet.etag) return preconditionFailed;
  if (scaleSet.isBusy()) return busy(spec.name);
  if (capacity < scaleSet.capacity)
    return failure(500, 'Unsupported', 'The fake does not select machines to delete.');
  const cores = scaleSet.missing(capacity) * spec.coresPerInstance;
  const refused = region.quotas.check({ kind: spec.kind, family: spec.family, cores }, (quota) =>
    region.coresUsed(quota),
  );
  if (refused !== null) return refused;
  const operation = scaleSet.raise(capacity);
  return { ...accepted(operation), body: scaleSetBody(scaleSet) };
}

function deleteMachines(scaleSet: FakeScaleSet, body: string): Answer {
  const parsed = deleteBody.safeParse(parseJson(body));
  if (!parsed.success) return failure(400, 'InvalidParameter', 'Required parameter instanceIds is missing.');
  if (scaleSet.isBusy('delete')) return busy(scaleSet.spec.name);
  const operation = scaleSet.delete(parsed.data.instanceIds);
  if (operation === null)
    return notFound(`${scaleSet.spec.name}/virtualMachines/${parsed.data.instanceIds[0] ?? ''}`);
  const { status, headers } = accepted(operation);
  return { status, headers: { ...headers, location: operationUrl(operation, '&monitor=true') } };
}

const operationUrl = ({ id }: ArmOperation, more = ''): string =>
  `${ENDPOINT}${COMPUTE}/locations/${LOCATION}/operations/${id}?api-version=2026-04-01${more}`;

function accepted(operation: ArmOperation) {
  return {
    status: 202,
    headers: {
      'azure-asyncoperation': operationUrl(operation),
      'retry-after': String(OPERATION_RETRY_SECONDS),
    },
  };
}

function answerOfOperation(region: FakeRegion, id: string, isMonitor: boolean): Answer {
  const scaleSet = [...region.scaleSets.values()].find((one) => one.operation(id) !== undefined);
  const operation = scaleSet?.operation(id);
  if (scaleSet === undefined || operation === undefined) return notFound(id);
  return metered(region, scaleSet, 'GetOperation', () => {
    const isRunning = operation.status === 'InProgress';
    if (isMonitor) return { status: isRunning ? 202 : 204 };
    const headers = isRunning ? { 'retry-after': String(OPERATION_RETRY_SECONDS) } : {};
    return { ...ok(operationBody(operation)), headers };
  });
}

function machines(region: FakeRegion, { spec, machines: all }: FakeScaleSet, url: URL): Answer {
  const skip = Number(url.searchParams.get('$skiptoken') ?? 0);
  const scaleSetId = `${SCALE_SETS}/${spec.name}`;
  const next = new URL(url);
  next.searchParams.set('$skiptoken', String(skip + region.pageSize));
  return ok({
    value: [...all.values()].slice(skip, skip + region.pageSize).map((machine) =>
      machineBody(machine, {
        scaleSetId,
        location: LOCATION,
        withInstanceView: url.searchParams.get('$expand') === 'instanceView',
      }),
    ),
    ...(all.size > skip + region.pageSize ? { nextLink: next.href } : {}),
  });
}
