/** PURE. Explains why Azure Resource Manager did not answer a query, and what to do about it. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { errorFinding, warningFinding } from '../finding.ts';

/** A failed query. */
export interface ArmRefusal {
  /** Null if there was no response. */
  readonly status: number | null;
  /** Azure's error code, such as `AuthorizationFailed`. */
  readonly code: string | null;
  readonly message: string;
}

export interface ArmQuery {
  /** What the query does, as in "cannot read the scale set gpu". */
  readonly action: string;
  /** The role that allows it. */
  readonly role: string;
  /** Whether missing access is an error. For a deployed fleet it is a warning, because a job needs storage only. */
  readonly isRequired: boolean;
}

const DENIED_ACTION = /perform action '([^']+)'/;
const LOG_IN =
  'Run az login (with --tenant TENANT if the subscription belongs to another tenant), then run this command again.';

export function judgeRefusal(topic: string, query: ArmQuery, refusal: ArmRefusal): Finding {
  const { status, code, message } = refusal;
  const says = (reason: string) => `cannot ${query.action}: ${reason}`;
  const accessFinding = query.isRequired ? errorFinding : warningFinding;
  if (code === 'NoIdentity' || status === 401)
    return accessFinding(topic, says('you are not logged in to Azure'), LOG_IN);
  switch (code) {
    case 'AuthorizationFailed': {
      const denied = DENIED_ACTION.exec(message)?.[1];
      return accessFinding(
        topic,
        says(`you do not have permission${denied === undefined ? '' : ` (${denied})`}`),
        `Ask an owner of the subscription for the role ${query.role}. A new role takes a few minutes to take effect.`,
      );
    }
    case 'SubscriptionNotFound':
    case 'InvalidSubscriptionId':
      return accessFinding(
        topic,
        says('the subscription does not exist, or you have no access to it'),
        'List your subscriptions: az account list --output table. Log in to another tenant: az login --tenant TENANT',
      );
    case 'ResourceGroupNotFound':
    case 'ResourceNotFound':
      return errorFinding(
        topic,
        says('it does not exist'),
        'Create it: terraform -chdir=infra/terraform apply. Then update .env: terraform -chdir=infra/terraform output -raw env > .env',
      );
    case 'MissingSubscriptionRegistration':
      return errorFinding(
        topic,
        says('the resource provider Microsoft.Compute is not registered in the subscription'),
        'Register it: az provider register --namespace Microsoft.Compute --wait',
      );
    case 'NoRegisteredProviderFound':
    case 'LocationNotAvailableForResourceType':
      return errorFinding(
        topic,
        says('the region does not exist'),
        'List the regions: az account list-locations --output table',
      );
    case null:
    default:
      return status === null
        ? warningFinding(
            topic,
            says(`Azure did not respond (${message})`),
            'Check that https://management.azure.com can be reached from this machine, then run this command again.',
          )
        : warningFinding(
            topic,
            says(`Azure returned ${status}${code === null ? '' : ` ${code}`}`),
            'Run this command again in a few minutes. Known incidents: https://azure.status.microsoft',
          );
  }
}
