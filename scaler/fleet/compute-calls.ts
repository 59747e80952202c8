/**
 * The Azure Compute calls that the fleet needs.
 *
 * Each call is tried once and ends within its time-out, including the request for a token. There are no retries: the scaler
 * calls again at its next tick, and the SDK's retries can wait for 20 minutes if the server asks for that. A change returns as
 * soon as Azure accepts it; `readOperation` polls its progress. Answers are validated, and missing fields get no default.
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

const scaleSetResource = z.object({
  sku: z.object({ name: z.string(), tier: z.string().optional(), capacity: z.int().min(0) }),
  provisioningState: z.string(),
  etag: z.string().optional(),
});
export type ScaleSetResource = z.infer<typeof scaleSetResource>;

const scaleSetVm = z.object({
  instanceId: z.string().min(1),
  vmId: z.string().min(1).optional(),
  provisioningState: z.string(),
  timeCreated: z.date().optional(),
  instanceView: z
    .object({ statuses: z.array(z.object({ code: z.string().optional() })).optional() })
    .optional(),
});
export type ScaleSetVm = z.infer<typeof scaleSetVm>;

/** The serialized poller of a running change. Null if the change was complete at once. */
export type OperationHandle = string | null;

export type OperationState =
  | { readonly kind: 'running'; readonly operation: string }
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'failed'; readonly failure: ArmFailure };

export interface ComputeOptions {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly credential: ConstructorParameters<typeof ComputeManagementClient>[0];
  /** Of Azure Resource Manager. Default: the public cloud. */
  readonly endpoint?: string;
  readonly callTimeoutMs?: number;
  /** Added to the SDK's pipeline. Tests use it to reach their own server. */
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
  }: ComputeOptions) {
    this.#resourceGroup = resourceGroup;
    this.#client = new ComputeManagementClient(credential, subscriptionId, {
      ...(endpoint === undefined ? {} : { endpoint }),
      retryOptions: { maxRetries: 0 },
      additionalPolicies: [
        { position: 'perCall', policy: timeOutPolicy(callTimeoutMs ?? CALL_TIMEOUT_MS) },
        ...(policies ?? []),
      ],
    });
  }

  async readScaleSet(name: string, signal: AbortSignal | undefined): Promise<ScaleSetResource> {
    const options = signal === undefined ? {} : { abortSignal: signal };
    return scaleSetResource.parse(
      await this.#client.virtualMachineScaleSets.get(this.#resourceGroup, name, options),
    );
  }

  /** Returns all instances or throws. */
  async readInstances(name: string, signal: AbortSignal | undefined): Promise<ScaleSetVm[]> {
    const options = signal === undefined ? {} : { abortSignal: signal };
    const vms: ScaleSetVm[] = [];
    for await (const vm of this.#client.virtualMachineScaleSetVMs.list(this.#resourceGroup, name, {
      expand: 'instanceView',
      ...options,
    })) {
      signal?.throwIfAborted();
      vms.push(scaleSetVm.parse(vm));
    }
    return vms;
  }

  /** Changes only the capacity, and only if the scale set has not changed since it was read. */
  async changeCapacity(
    name: string,
    { sku, etag }: ScaleSetResource,
    capacity: number,
  ): Promise<OperationHandle> {
    const poller = this.#client.virtualMachineScaleSets.update(
      this.#resourceGroup,
      name,
      { sku: { name: sku.name, ...(sku.tier === undefined ? {} : { tier: sku.tier }), capacity } },
      etag === undefined ? {} : { ifMatch: etag },
    );
    await poller.submitted();
    return poller.isDone ? null : poller.serialize();
  }

  /** Uses force deletion, which skips the shutdown of the system: these instances hold no work. */
  async deleteInstances(name: string, instanceIds: readonly string[]): Promise<OperationHandle> {
    const poller = this.#client.virtualMachineScaleSets.deleteInstances(
      this.#resourceGroup,
      name,
      { instanceIds: [...instanceIds] },
      { forceDeletion: true },
    );
    await poller.submitted();
    return poller.isDone ? null : poller.serialize();
  }

  /** Polls once. Throws if the poll itself fails, which says nothing about the operation. */
  async readOperation(operation: string): Promise<OperationState> {
    // A new poller for each poll: one whose poll fails reports the operation as failed from then on.
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

/** After success the SDK also reads the result. A removal has none (204), which the SDK does not expect. */
function isWithoutResult(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && error.statusCode === 204;
}

type PipelinePolicy = NonNullable<
  ComputeManagementClientOptionalParams['additionalPolicies']
>[number]['policy'];

/** Limits a whole call. The SDK's own time-out ends when the headers of the answer arrive. */
function timeOutPolicy(timeoutMs: number): PipelinePolicy {
  return {
    name: 'timeOut',
    sendRequest: async (request, next) => {
      const timeOut = AbortSignal.timeout(timeoutMs);
      const caller = request.abortSignal;
      request.abortSignal = caller instanceof AbortSignal ? AbortSignal.any([caller, timeOut]) : timeOut;
      try {
        return await next(request);
      } catch (error) {
        if (timeOut.aborted)
          throw new Error(`Azure did not answer within ${timeoutMs} ms.`, { cause: error });
        throw error;
      }
    },
  };
}
