/** PURE. Judges whether the resource providers of the deployment are registered in a subscription. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { errorFinding, okFinding, warningFinding } from '../finding.ts';

/** The list in `infra/terraform/versions.tf`; a test compares the two. */
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

/** VMs cannot start without these. The others are needed only for `terraform apply`. */
const NEEDED_BY_VMS = new Set<string>(['Microsoft.Compute', 'Microsoft.Network', 'Microsoft.Storage']);

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
  if (missing.length === 0)
    return okFinding('providers', `all ${PROVIDERS.length} resource providers are registered`);
  const message = `not registered: ${missing.map((one) => `${one} (${stateOf(one)})`).join(', ')}`;
  const commands = missing.map((one) => `az provider register --namespace ${one}`).join(' && ');
  if (!isDeployed)
    return warningFinding(
      'providers',
      message,
      `terraform apply registers them if you have permission. Otherwise ask an owner to run: ${commands}`,
    );
  return missing.some((namespace) => NEEDED_BY_VMS.has(namespace))
    ? errorFinding('providers', message, `Run: ${commands}`)
    : warningFinding('providers', message, `Run: ${commands}`);
}
