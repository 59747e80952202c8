/** PURE. What it means that Azure did not answer a question: in words for whoever asked. */
import { type Finding, warning, wrong } from '../finding.ts';

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

/** `what`: what was asked for, as in "cannot read the scale set gpu". */
export function judgeRefusal(
  topic: string,
  { what, needs }: { readonly what: string; readonly needs: string },
  { status, code, message }: Refusal,
): Finding {
  if (code === 'NoIdentity' || status === 401)
    return wrong(topic, `cannot ${what}: you are not logged in to Azure`, LOG_IN);
  switch (code) {
    case 'AuthorizationFailed': {
      const action = ACTION.exec(message)?.[1];
      return wrong(
        topic,
        `cannot ${what}: you may not${action === undefined ? '' : ` (${action})`}`,
        `Ask an owner of the subscription for the role ${needs}. A role takes some minutes to be known everywhere.`,
      );
    }
    case 'SubscriptionNotFound':
    case 'InvalidSubscriptionId':
      return wrong(
        topic,
        `cannot ${what}: there is no such subscription, or it is not of the tenant you are logged in to`,
        'See yours: az account list --output table. To log in to another tenant: az login --tenant TENANT',
      );
    case 'ResourceGroupNotFound':
    case 'ResourceNotFound':
      return wrong(
        topic,
        `cannot ${what}: it is not there`,
        'Make it: terraform -chdir=infra/terraform apply. Then: terraform -chdir=infra/terraform output -raw env > .env',
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
