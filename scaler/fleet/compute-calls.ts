/**
 * The calls to Azure Compute that the fleet needs, and nothing else of its SDK.
 *
 * Each is tried once and ends within its time-out, its token included: the loop that asks comes again in a few seconds, and the
 * SDK's own retries wait for as long as a server asks, 20 minutes if it likes. A change is only handed in; what becomes of it
 * is asked for later, a single look at a time. What is read is checked: nothing is made up for what is missing.
 */
import {
  ComputeManagementClient,
  type ComputeManagementClientOptionalParams,
  restorePoller,
} from '@azure/arm-compute';
import { z } from 'zod';

import type { ArmFailure } from './arm-errors.ts';
import { operationFailureOf } from './arm-failure.ts';

const CALL_TIMEOUT_MS = 10_000;

const scaleSetReading = z.object({
  sku: z.object({ name: z.string(), tier: z.string().optional(), capacity: z.int().min(0) }),
  provisioningState: z.string(),
  etag: z.string().optional(),
});
export type ScaleSetReading = z.infer<typeof scaleSetReading>;

const machineReading = z.object({
  instanceId: z.string().min(1),
  vmId: z.string().min(1).optional(),
  provisioningState: z.string(),
  timeCreated: z.date().optional(),
  instanceView: z
    .object({ statuses: z.array(z.object({ code: z.string().optional() })).optional() })
    .optional(),
});
export type MachineReading = z.infer<typeof machineReading>;

/** A change under way, as the SDK writes it down; null where it was over at once. */
export type Operation = string | null;

export type OperationState =
  | { readonly kind: 'running'; readonly operation: string }
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'failed'; readonly failure: ArmFailure };

export interface ComputeParts {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly credential: ConstructorParameters<typeof ComputeManagementClient>[0];
  /** Of Azure Resource Manager; the public cloud's where none is given. */
  readonly endpoint?: string;
  readonly callTimeoutMs?: number;
  /** To be put into the SDK's pipeline: a test's way to a server of its own. */
  readonly policies?: ComputeManagementClientOptionalParams['additionalPolicies'];
}

export class ComputeCalls {
  readonly #client: ComputeManagementClient;
  readonly #resourceGroup: string;

  constructor({
    subscriptionId,
    resourceGroup,
    credential,
    endpoint,
    callTimeoutMs,
    policies,
  }: ComputeParts) {
    this.#resourceGroup = resourceGroup;
    this.#client = new ComputeManagementClient(credential, subscriptionId, {
      ...(endpoint === undefined ? {} : { endpoint }),
      retryOptions: { maxRetries: 0 },
      additionalPolicies: [
        { position: 'perCall', policy: timeOut(callTimeoutMs ?? CALL_TIMEOUT_MS) },
        ...(policies ?? []),
      ],
    });
  }

  async readScaleSet(name: string, signal: AbortSignal | undefined): Promise<ScaleSetReading> {
    const options = signal === undefined ? {} : { abortSignal: signal };
    return scaleSetReading.parse(
      await this.#client.virtualMachineScaleSets.get(this.#resourceGroup, name, options),
    );
  }

  /** All of them, or an error. */
  async readMachines(name: string, signal: AbortSignal | undefined): Promise<MachineReading[]> {
    const options = signal === undefined ? {} : { abortSignal: signal };
    const machines: MachineReading[] = [];
    for await (const machine of this.#client.virtualMachineScaleSetVMs.list(this.#resourceGroup, name, {
      expand: 'instanceView',
      ...options,
    })) {
      signal?.throwIfAborted();
      machines.push(machineReading.parse(machine));
    }
    return machines;
  }

  /** Changes the capacity and nothing else, if the scale set is still the one that was read. */
  async changeCapacity(name: string, { sku, etag }: ScaleSetReading, capacity: number): Promise<Operation> {
    const poller = this.#client.virtualMachineScaleSets.update(
      this.#resourceGroup,
      name,
      { sku: { name: sku.name, ...(sku.tier === undefined ? {} : { tier: sku.tier }), capacity } },
      etag === undefined ? {} : { ifMatch: etag },
    );
    await poller.submitted();
    return poller.isDone ? null : poller.serialize();
  }

  /** By force: without it Azure shuts the system down first, which a machine that holds nothing has no use for. */
  async deleteMachines(name: string, instanceIds: readonly string[]): Promise<Operation> {
    const poller = this.#client.virtualMachineScaleSets.deleteInstances(
      this.#resourceGroup,
      name,
      { instanceIds: [...instanceIds] },
      { forceDeletion: true },
    );
    await poller.submitted();
    return poller.isDone ? null : poller.serialize();
  }

  /** One look. Throws where it could not be had, which says nothing about the operation. */
  async readOperation(operation: string): Promise<OperationState> {
    // A poller is used once: one whose look fails takes the operation for failed.
    const poller = restorePoller(this.#client, operation, this.#client.virtualMachineScaleSets.update);
    try {
      await poller.poll();
    } catch (error) {
      const failure = operationFailureOf(error);
      if (failure !== null) return { kind: 'failed', failure };
      if (isWithoutResult(error)) return { kind: 'succeeded' };
      throw error;
    }
    return poller.isDone ? { kind: 'succeeded' } : { kind: 'running', operation: await poller.serialize() };
  }
}

/** An operation that succeeded is asked for its result, too: of a removal there is none (204), which the SDK does not expect. */
function isWithoutResult(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && error.statusCode === 204;
}

type Policy = NonNullable<ComputeManagementClientOptionalParams['additionalPolicies']>[number]['policy'];

/** Of a whole call: the SDK's own keeps the time only until the headers of an answer are there. */
function timeOut(timeoutMs: number): Policy {
  return {
    name: 'timeOut',
    sendRequest: async (request, next) => {
      const time = AbortSignal.timeout(timeoutMs);
      const caller = request.abortSignal;
      request.abortSignal = caller instanceof AbortSignal ? AbortSignal.any([caller, time]) : time;
      try {
        return await next(request);
      } catch (error) {
        if (time.aborted) throw new Error(`Azure did not answer within ${timeoutMs} ms.`, { cause: error });
        throw error;
      }
    },
  };
}
