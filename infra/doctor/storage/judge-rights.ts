/** PURE. Judges the results of the access tests, and names the missing role. */
import type { AccessProbe, AccessResult } from '../../../shared/azure/access-probes.ts';
import type { Finding } from '../../../shared/contract/finding.ts';
import { errorFinding, okFinding, warningFinding } from '../finding.ts';

export interface TriedRight {
  readonly account: 'media' | 'system';
  /** An emulator accepts keys only. */
  readonly signedBy: 'key' | 'identity';
  readonly tried: AccessProbe;
  readonly result: AccessResult;
}

/** The roles that `infra/terraform/access.tf` assigns. */
const ROLE = {
  read: 'Storage Blob Data Reader',
  write: 'Storage Blob Data Contributor',
  hold: '“hold leases” (a custom role of this fleet)',
} as const;

/** A single `ok` if all tests passed; otherwise the problems of each account. */
export function judgeRights(tries: readonly TriedRight[]): Finding[] {
  const problems = (['media', 'system'] as const).flatMap((account) => {
    const ofAccount = tries.filter((one) => one.account === account);
    return [...missingRoles(account, ofAccount), ...otherProblems(account, ofAccount)];
  });
  if (problems.length > 0) return problems;
  return [okFinding('rights', `all ${tries.length} access tests passed`)];
}

function missingRoles(account: string, tries: readonly TriedRight[]): Finding[] {
  return withOutcome(tries, 'no-role').map(({ tried }) =>
    errorFinding(
      'rights',
      `you do not have permission to ${actionOf(tried)} ${resourceOf(tried)} of the ${account} account`,
      `Ask the operator of the fleet for the role ${ROLE[tried.right]} (operators in infra/terraform). A new role takes a few minutes to take effect.`,
    ),
  );
}

/** At most one finding per kind of problem. */
function otherProblems(account: string, tries: readonly TriedRight[]): Finding[] {
  const [blocked, unauthenticated, refused, unanswered] = (
    ['blocked', 'unauthenticated', 'refused', 'unanswered'] as const
  ).map((outcome) => withOutcome(tries, outcome)[0]);
  const absent = withOutcome(tries, 'absent').map(({ tried }) => resourceOf(tried));
  const findings: Finding[] = [];
  if ((unauthenticated ?? blocked)?.signedBy === 'key')
    findings.push(
      errorFinding(
        'rights',
        `the ${account} account rejects the key`,
        'Use the settings of the running emulator. For docker compose: cp infra/docker/compose.env .env',
      ),
    );
  if (blocked?.signedBy === 'identity')
    findings.push(
      errorFinding(
        'rights',
        `the ${account} account rejects connections from this network`,
        'Add your public IP address (curl -s https://api.ipify.org) to operator_addresses in infra/terraform, and apply. An account without public access accepts connections from its own network only.',
      ),
    );
  if (unauthenticated?.signedBy === 'identity')
    findings.push(
      errorFinding(
        'rights',
        `the ${account} account rejects your identity${codeText(unauthenticated)}`,
        'Run az login (with --tenant TENANT if the account belongs to another tenant). Check the clock finding, too.',
      ),
    );
  if (refused !== undefined)
    findings.push(
      refused.result.code === 'KeyBasedAuthenticationNotPermitted'
        ? errorFinding(
            'rights',
            `the ${account} account does not accept keys`,
            'Replace the connection string with the name of the account, and log in: az login',
          )
        : errorFinding(
            'rights',
            `the ${account} account refuses access${codeText(refused)}`,
            'Look up the error code: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes',
          ),
    );
  if (absent.length > 0)
    findings.push(
      errorFinding(
        'rights',
        `the ${account} account has no ${absent.join(', no ')}`,
        'Create them: terraform -chdir=infra/terraform apply. If they exist, check the account names in .env.',
      ),
    );
  if (unanswered !== undefined)
    findings.push(
      warningFinding(
        'rights',
        `the ${account} account did not respond${codeText(unanswered)}`,
        'Check the network finding, then run this command again.',
      ),
    );
  return findings;
}

function withOutcome(tries: readonly TriedRight[], outcome: AccessResult['outcome']): TriedRight[] {
  return tries.filter(({ result }) => result.outcome === outcome);
}

function actionOf({ right: kind }: AccessProbe): string {
  return { read: 'read the', write: 'write to the', hold: 'receive messages from the' }[kind];
}

function resourceOf(tried: AccessProbe): string {
  return 'queue' in tried ? `queue ${tried.queue}` : `container ${tried.container}`;
}

function codeText({ result: { code } }: TriedRight): string {
  return code === null ? '' : ` (${code})`;
}
