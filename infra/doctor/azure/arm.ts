/**
 * Read-only queries to Azure Resource Manager. Each query is sent once, without retries, and returns a reading or a refusal;
 * it never throws. No other file of the doctor imports the Azure management SDKs.
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
import type { ArmRefusal } from './judge-refusal.ts';
import type { SizeReading } from './judge-size.ts';

export interface ArmOptions {
  readonly subscriptionId: string;
  readonly credential: ConstructorParameters<typeof ComputeManagementClient>[0];
  /** Default: the public cloud. */
  readonly endpoint?: string;
  /** Added to the SDKs' pipelines. Tests use it to reach a server of their own. */
  readonly policies?: ComputeManagementClientOptionalParams['additionalPolicies'];
}

export type ArmAnswer<T> = { readonly reading: T } | { readonly refusal: ArmRefusal };

export interface ScaleSetProperties {
  readonly size: string;
  readonly location: string;
  /** The zones of its VMs; empty: Azure chooses. */
  readonly zones: readonly string[];
}

export class Arm {
  readonly #compute: ComputeManagementClient;
  readonly #resources: ResourceManagementClient;

  constructor({ subscriptionId, credential, endpoint, policies }: ArmOptions) {
    const options = {
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(policies === undefined ? {} : { additionalPolicies: policies }),
      retryOptions: { maxRetries: 0 },
    };
    this.#compute = new ComputeManagementClient(credential, subscriptionId, options);
    this.#resources = new ResourceManagementClient(credential, subscriptionId, options);
  }

  scaleSet(
    resourceGroup: string,
    name: string,
    abortSignal: AbortSignal,
  ): Promise<ArmAnswer<ScaleSetProperties>> {
    return answerOf(async () => {
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

  /** The number of VMs in the scale set. The scaler makes the same call. */
  instances(resourceGroup: string, scaleSet: string, abortSignal: AbortSignal): Promise<ArmAnswer<number>> {
    return answerOf(async () => {
      let count = 0;
      for await (const _ of this.#compute.virtualMachineScaleSetVMs.list(resourceGroup, scaleSet, {
        abortSignal,
      }))
        count += 1;
      return count;
    });
  }

  usages(location: string, abortSignal: AbortSignal): Promise<ArmAnswer<UsageReading[]>> {
    return answerOf(async () => {
      const usages = await Array.fromAsync(this.#compute.usage.list(location, { abortSignal }));
      return usages.map(({ name, currentValue, limit }) => ({
        name: name.value ?? '',
        title: name.localizedValue ?? null,
        used: currentValue,
        limit,
      }));
    });
  }

  sizes(location: string, abortSignal: AbortSignal): Promise<ArmAnswer<SizeReading[]>> {
    return answerOf(async () => {
      const skus = await Array.fromAsync(
        this.#compute.resourceSkus.list({ filter: `location eq '${location}'`, abortSignal }),
      );
      return skus.filter(({ resourceType }) => resourceType === 'virtualMachines').map(sizeReading);
    });
  }

  providers(abortSignal: AbortSignal): Promise<ArmAnswer<ProviderReading[]>> {
    return answerOf(async () => {
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
    restriction: regional === undefined ? null : (regional.reasonCode ?? 'restricted'),
    zonesRestricted: restrictions
      .filter(({ type }) => type === 'Zone')
      .flatMap(({ restrictionInfo }) => restrictionInfo?.zones ?? []),
  };
}

async function answerOf<T>(query: () => Promise<T>): Promise<ArmAnswer<T>> {
  try {
    return { reading: await query() };
  } catch (error) {
    return { refusal: toArmRefusal(error) };
  }
}

function toArmRefusal(error: unknown): ArmRefusal {
  const { status, code } = restFailure(error);
  // For a failed list call the SDK drops Azure's message.
  return { status, code: isNotSignedIn(error) ? 'NoIdentity' : code, message: describeError(error) };
}
