/** How findings are printed on a terminal. */
import { expect, test } from 'vitest';

import { formatFinding, formatSummary } from '../../../infra/doctor/finding.ts';
import type { Finding } from '../../../shared/contract/finding.ts';

test('a finding prints as one line with its hint on the next, and a summary counts the verdicts', () => {
  const findings: Finding[] = [
    { topic: 'disk', verdict: 'ok', message: '50 GiB free' },
    { topic: 'redis', verdict: 'error', message: 'not installed', hint: 'Install it.' },
  ];
  expect(findings.map(formatFinding).join('\n')).toBe(
    'ok       disk      50 GiB free\nerror    redis     not installed\n                   Install it.',
  );
  expect(formatSummary(findings)).toBe('1 error, 0 warnings, 1 ok.');
});
