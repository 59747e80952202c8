/** PURE. What the tries of rights mean, and which role is missing. */
import type { AccessProbe, AccessResult } from '../../../shared/azure/access-probes.ts';
import type { Finding } from '../../../shared/contract/finding.ts';
import { right, warning, wrong } from '../finding.ts';

export interface TriedRight {
  readonly account: 'media' | 'system';
  /** An emulator knows keys only. */
  readonly signedBy: 'key' | 'identity';
  readonly tried: AccessProbe;
  readonly result: AccessResult;
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
  const troubles = (['media', 'system'] as const).flatMap((account) => {
    const its = tries.filter((one) => one.account === account);
    return [...missingRoles(account, its), ...otherTroubles(account, its)];
  });
  if (troubles.length > 0) return troubles;
  return [right('rights', `the ${tries.length} that were tried are there`)];
}

function missingRoles(account: string, tries: readonly TriedRight[]): Finding[] {
  return outcomes(tries, 'no-role').map(({ tried }) =>
    wrong(
      'rights',
      `you may not ${verb(tried)} the ${place(tried)} of the ${account} account`,
      `Ask whoever runs this fleet for the role ${ROLE[tried.right]} there: operators in infra/terraform. ${NOT_YET}`,
    ),
  );
}

function otherTroubles(account: string, tries: readonly TriedRight[]): Finding[] {
  const [noEntry, nobody, refused, unanswered] = (
    ['blocked', 'unauthenticated', 'refused', 'unanswered'] as const
  ).map((outcome) => outcomes(tries, outcome)[0]);
  const absent = outcomes(tries, 'absent').map(({ tried }) => place(tried));
  const stranger = nobody ?? noEntry;
  return [
    ...(stranger?.signedBy === 'key'
      ? [
          wrong(
            'rights',
            `the ${account} account refuses the key`,
            'Take the settings of the emulator that is up: of docker compose, cp infra/docker/compose.env .env',
          ),
        ]
      : []),
    ...(noEntry?.signedBy === 'identity'
      ? [
          wrong(
            'rights',
            `the ${account} account lets nobody in from here`,
            'Add the address that your network has on the internet (curl -s https://api.ipify.org) to operator_addresses of infra/terraform, and apply. An account without public access can be reached from its own network only.',
          ),
        ]
      : []),
    ...(nobody?.signedBy === 'identity'
      ? [
          wrong(
            'rights',
            `the ${account} account does not take who you are${codeText(nobody)}`,
            'az login, with --tenant TENANT where the account is in another. See what “clock” says, too.',
          ),
        ]
      : []),
    ...(refused === undefined
      ? []
      : [
          refused.result.code === 'KeyBasedAuthenticationNotPermitted'
            ? wrong(
                'rights',
                `the ${account} account takes no keys`,
                'Give the account’s name in place of a connection string, and log in: az login',
              )
            : wrong(
                'rights',
                `the ${account} account refuses${codeText(refused)}`,
                'Look the code up: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes',
              ),
        ]),
    ...(absent.length === 0
      ? []
      : [
          wrong(
            'rights',
            `the ${account} account has no ${absent.join(', no ')}`,
            'Make them: terraform -chdir=infra/terraform apply. Or these are not this fleet’s accounts: look into .env.',
          ),
        ]),
    ...(unanswered === undefined
      ? []
      : [
          warning(
            'rights',
            `the ${account} account did not answer${codeText(unanswered)}`,
            'See what “network” says, and run this again.',
          ),
        ]),
  ];
}

function outcomes(tries: readonly TriedRight[], outcome: AccessResult['outcome']): TriedRight[] {
  return tries.filter(({ result }) => result.outcome === outcome);
}

function verb({ right: kind }: AccessProbe): string {
  return { read: 'read', write: 'write into', hold: 'receive messages of' }[kind];
}

function place(tried: AccessProbe): string {
  return 'queue' in tried ? `queue ${tried.queue}` : `container ${tried.container}`;
}

function codeText({ result: { code } }: TriedRight): string {
  return code === null ? '' : ` (${code})`;
}
