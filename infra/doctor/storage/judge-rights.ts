/** PURE. What the tries of rights mean, and which role is missing. */
import type { Try, TryResult } from '../../../shared/azure/try-rights.ts';
import { type Finding, right, warning, wrong } from '../finding.ts';

export interface TriedRight {
  readonly account: 'media' | 'system';
  /** An emulator knows keys only. */
  readonly signedBy: 'key' | 'identity';
  readonly tried: Try;
  readonly result: TryResult;
}

/** As `infra/terraform/access.tf` grants them. */
const ROLE = {
  read: 'Storage Blob Data Reader',
  write: 'Storage Blob Data Contributor',
  hold: '“hold leases” (a role of this fleet’s own)',
} as const;
const NOT_YET = 'A role takes some minutes to be known everywhere.';

/** One line where all is well; else one for each kind of trouble of an account. */
export function judgeRights(tries: readonly TriedRight[]): Finding[] {
  const troubles = (['media', 'system'] as const).flatMap((account) =>
    judgeAccount(
      account,
      tries.filter((one) => one.account === account),
    ),
  );
  if (troubles.length > 0) return troubles;
  return [right('rights', `all ${tries.length} that the commands at a desk need, by trying them`)];
}

function judgeAccount(account: 'media' | 'system', tries: readonly TriedRight[]): Finding[] {
  const of = (outcome: TryResult['outcome']) => tries.filter(({ result }) => result.outcome === outcome);
  const trouble: Finding[] = [];
  const noRole = of('no-role');
  if (noRole.some(({ result }) => result.code === 'KeyBasedAuthenticationNotPermitted'))
    return [
      wrong(
        'rights',
        `the ${account} account takes no keys`,
        'Give the account’s name in place of a connection string, and log in: az login',
      ),
    ];
  for (const { tried } of noRole)
    trouble.push(
      wrong(
        'rights',
        `you may not ${verb(tried)} the ${place(tried)} of the ${account} account`,
        `Ask whoever runs this fleet for the role ${ROLE[tried.right]} there: operators in infra/terraform. ${NOT_YET}`,
      ),
    );
  const [stranger] = of('no-entry');
  if (stranger?.signedBy === 'key')
    trouble.push(
      wrong(
        'rights',
        `the ${account} account refuses the key`,
        'Take the settings of the emulator that is up: of docker compose, cp infra/docker/compose.env .env',
      ),
    );
  else if (stranger !== undefined)
    trouble.push(
      wrong(
        'rights',
        `the ${account} account does not let this address in`,
        'Add the address that your network has on the internet (curl -s https://api.ipify.org) to operator_addresses of infra/terraform, and apply.',
      ),
    );
  if (of('nobody').length > 0)
    trouble.push(
      wrong(
        'rights',
        `the ${account} account does not know who you are`,
        'az login, with --tenant TENANT where the account is in another.',
      ),
    );
  const absent = of('absent').map(({ tried }) => place(tried));
  if (absent.length > 0)
    trouble.push(
      wrong(
        'rights',
        `the ${account} account has no ${absent.join(', no ')}`,
        'Make them: terraform -chdir=infra/terraform apply. Or these are not this fleet’s accounts: look into .env.',
      ),
    );
  if (of('unanswered').length > 0)
    trouble.push(
      warning(
        'rights',
        `the ${account} account did not answer${codesOf(of('unanswered'))}`,
        'See what “network” says, and run this again.',
      ),
    );
  return trouble;
}

function verb({ right: kind }: Try): string {
  return { read: 'read', write: 'write into', hold: 'receive messages of' }[kind];
}

function place(tried: Try): string {
  return 'queue' in tried ? `queue ${tried.queue}` : `container ${tried.container}`;
}

function codesOf(tries: readonly TriedRight[]): string {
  const codes = [...new Set(tries.map(({ result }) => result.code).filter((code) => code !== null))];
  return codes.length === 0 ? '' : ` (${codes.join(', ')})`;
}
