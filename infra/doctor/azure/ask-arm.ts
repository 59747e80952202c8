/**
 * The questions to Azure Resource Manager, and nothing else of its SDKs: each is asked once, within its time-out, and is answered
 * with a reading or with a refusal. Nothing is changed by any of them.
 */
import {
  ComputeManagementClient,
  type ComputeManagementClientOptionalParams,
  type ResourceSku,
} from '@azure/arm-compute';
import { ResourceManagementClient } from '@azure/arm-resources';

import { restFailure } from '../../../shared/azure/rest-failure.ts';
import { isNotSignedIn } from '../../../shared/azure/storage-errors.ts';
import { describeError } from '../../../shared/runtime/errors.ts';
import type { ProviderReading } from './judge-providers.ts';
import type { UsageReading } from './judge-quota.ts';
import type { Refusal } from './judge-refusal.ts';
import type { SizeReading } from './judge-size.ts';

export interface ArmParts {
  readonly subscriptionId: string;
  readonly credential: ConstructorParameters<typeof ComputeManagementClient>[0];
  /** The public cloud's where none is given. */
  readonly endpoint?: string;
  /** To be put into the SDKs' pipelines: a test's way to a server of its own. */
  readonly policies?: ComputeManagementClientOptionalParams['additionalPolicies'];
}

export type Answer<T> = { readonly reading: T } | { readonly refusal: Refusal };

export interface ScaleSetReading {
  readonly size: string;
  readonly location: string;
  /** Its machines are in these; none: wherever there is room. */
  readonly zones: readonly string[];
}

export class Arm {
  readonly #compute: ComputeManagementClient;
  readonly #resources: ResourceManagementClient;

  constructor({ subscriptionId, credential, endpoint, policies }: ArmParts) {
    const options = {
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(policies === undefined ? {} : { additionalPolicies: policies }),
      retryOptions: { maxRetries: 0 },
    };
    this.#compute = new ComputeManagementClient(credential, subscriptionId, options);
    this.#resources = new ResourceManagementClient(credential, subscriptionId, options);
  }

  scaleSet(resourceGroup: string, name: string, abortSignal: AbortSignal): Promise<Answer<ScaleSetReading>> {
    return answered(async () => {
      const {
        sku,
        location,
        zones = [],
      } = await this.#compute.virtualMachineScaleSets.get(resourceGroup, name, {
        abortSignal,
      });
      return { size: sku?.name ?? '', location, zones };
    });
  }

  /** How many: whoever may list them sees what the scaler sees. */
  machines(resourceGroup: string, scaleSet: string, abortSignal: AbortSignal): Promise<Answer<number>> {
    return answered(async () => {
      let count = 0;
      for await (const _ of this.#compute.virtualMachineScaleSetVMs.list(resourceGroup, scaleSet, {
        abortSignal,
      }))
        count += 1;
      return count;
    });
  }

  usages(location: string, abortSignal: AbortSignal): Promise<Answer<UsageReading[]>> {
    return answered(async () => {
      const usages = await Array.fromAsync(this.#compute.usage.list(location, { abortSignal }));
      return usages.map(({ name, currentValue, limit }) => ({
        name: name.value ?? '',
        title: name.localizedValue ?? null,
        used: currentValue,
        limit,
      }));
    });
  }

  sizes(location: string, abortSignal: AbortSignal): Promise<Answer<SizeReading[]>> {
    return answered(async () => {
      const skus = await Array.fromAsync(
        this.#compute.resourceSkus.list({ filter: `location eq '${location}'`, abortSignal }),
      );
      return skus.filter(({ resourceType }) => resourceType === 'virtualMachines').map(sizeReading);
    });
  }

  providers(abortSignal: AbortSignal): Promise<Answer<ProviderReading[]>> {
    return answered(async () => {
      const providers = await Array.fromAsync(this.#resources.providers.list({ abortSignal }));
      return providers.map(({ namespace = '', registrationState = '' }) => ({
        namespace,
        state: registrationState,
      }));
    });
  }
}

function sizeReading({
  name = '',
  family = '',
  capabilities = [],
  locationInfo = [],
  restrictions = [],
}: ResourceSku): SizeReading {
  const capability = (wanted: string) => capabilities.find((one) => one.name === wanted)?.value;
  const cores = Number(capability('vCPUs'));
  const regional = restrictions.find(({ type }) => type === 'Location');
  return {
    name,
    family,
    cores: Number.isInteger(cores) && cores > 0 ? cores : null,
    isSpotCapable: capability('LowPriorityCapable')?.toLowerCase() !== 'false',
    zones: locationInfo[0]?.zones ?? [],
    refusedBecause: regional === undefined ? null : (regional.reasonCode ?? 'restricted'),
    zonesRefused: restrictions
      .filter(({ type }) => type === 'Zone')
      .flatMap(({ restrictionInfo }) => restrictionInfo?.zones ?? []),
  };
}

async function answered<T>(ask: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { reading: await ask() };
  } catch (error) {
    return { refusal: refusalOf(error) };
  }
}

function refusalOf(error: unknown): Refusal {
  const { status, code } = restFailure(error);
  // Of a list the SDK drops Azure's own sentence.
  return { status, code: isNotSignedIn(error) ? 'NoIdentity' : code, message: describeError(error) };
}
