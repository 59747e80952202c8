/** PURE. Whether a subscription has what the ground is made of. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { right, warning, wrong } from '../finding.ts';

/** As `infra/terraform/versions.tf` registers them; a test holds the two together. */
export const PROVIDERS = [
  'Microsoft.App',
  'Microsoft.Cache',
  'Microsoft.Compute',
  'Microsoft.Consumption',
  'Microsoft.ContainerRegistry',
  'Microsoft.EventGrid',
  'Microsoft.KeyVault',
  'Microsoft.ManagedIdentity',
  'Microsoft.Network',
  'Microsoft.OperationalInsights',
  'Microsoft.Storage',
  'microsoft.insights',
] as const;

/** Without these no machine starts; the others are for making the ground. */
const AT_WORK = new Set<string>(['Microsoft.Compute', 'Microsoft.Network', 'Microsoft.Storage']);

export interface ProviderReading {
  readonly namespace: string;
  /** `Registered`, `Registering`, `NotRegistered`, `Unregistering`, `Unregistered`. */
  readonly state: string;
}

export function judgeProviders(
  providers: readonly ProviderReading[],
  { isDeployed }: { readonly isDeployed: boolean },
): Finding {
  const stateOf = (namespace: string): string =>
    providers.find((one) => one.namespace.toLowerCase() === namespace.toLowerCase())?.state ??
    'NotRegistered';
  const missing = PROVIDERS.filter((namespace) => stateOf(namespace) !== 'Registered');
  if (missing.length === 0) return right('providers', `all ${PROVIDERS.length} are registered`);
  const says = `not registered: ${missing.map((one) => `${one} (${stateOf(one)})`).join(', ')}`;
  const byHand = missing.map((one) => `az provider register --namespace ${one}`).join(' && ');
  if (!isDeployed)
    return warning(
      'providers',
      says,
      `terraform apply registers them, if you may; else somebody who may: ${byHand}`,
    );
  return missing.some((namespace) => AT_WORK.has(namespace))
    ? wrong('providers', says, byHand)
    : warning('providers', says, byHand);
}
