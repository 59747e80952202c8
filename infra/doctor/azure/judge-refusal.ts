/** PURE. What it means that Azure did not answer a question: in words for whoever asked. */
import type { Finding } from '../../../shared/contract/finding.ts';
import { warning, wrong } from '../finding.ts';

/** An answer that is none. */
export interface Refusal {
  /** Null where there was no answer at all. */
  readonly status: number | null;
  /** Azure's own: `AuthorizationFailed`. */
  readonly code: string | null;
  readonly message: string;
}

const ACTION = /perform action '([^']+)'/;
const LOG_IN = 'az login, with --tenant TENANT where the subscription is in another; then run this again.';

export interface Question {
  /** What was asked for, as in "cannot read the scale set gpu". */
  readonly what: string;
  /** The role that lets one ask. */
  readonly needs: string;
  /** Whether it is all that is asked: a job needs no such answer, and goes on without. */
  readonly isAll: boolean;
}

export function judgeRefusal(topic: string, { what, needs, isAll }: Question, refusal: Refusal): Finding {
  const { status, code, message } = refusal;
  const speak = isAll ? wrong : warning;
  if (code === 'NoIdentity' || status === 401)
    return speak(topic, `cannot ${what}: you are not logged in to Azure`, LOG_IN);
  switch (code) {
    case 'AuthorizationFailed': {
      const action = ACTION.exec(message)?.[1];
      return speak(
        topic,
        `cannot ${what}: you may not${action === undefined ? '' : ` (${action})`}`,
        `Ask an owner of the subscription for the role ${needs}. A role takes some minutes to be known everywhere.`,
      );
    }
    case 'SubscriptionNotFound':
    case 'InvalidSubscriptionId':
      return speak(
        topic,
        `cannot ${what}: there is no such subscription, or none that you may see`,
        'See yours: az account list --output table. To log in to another tenant: az login --tenant TENANT',
      );
    case 'ResourceGroupNotFound':
    case 'ResourceNotFound':
      return wrong(
        topic,
        `cannot ${what}: it is not there`,
        'Make it: terraform -chdir=infra/terraform apply. Then: terraform -chdir=infra/terraform output -raw env > .env',
      );
    case 'MissingSubscriptionRegistration':
      return wrong(
        topic,
        `cannot ${what}: the subscription does not use Microsoft.Compute yet`,
        'az provider register --namespace Microsoft.Compute --wait',
      );
    case 'NoRegisteredProviderFound':
    case 'LocationNotAvailableForResourceType':
      return wrong(
        topic,
        `cannot ${what}: there is no such region`,
        'See them: az account list-locations --output table',
      );
    case null:
    default:
      return warning(
        topic,
        status === null
          ? `cannot ${what}: Azure does not answer (${message})`
          : `cannot ${what}: Azure answered ${status}${code === null ? '' : ` ${code}`}`,
        status === null
          ? 'See that https://management.azure.com can be reached from here, and run this again.'
          : 'Run this again in a few minutes; https://azure.status.microsoft has what is the matter with Azure.',
      );
  }
}
