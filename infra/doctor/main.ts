/**
 * `npm run doctor`: checks the prerequisites of a job, on this machine or on Azure, and prints a hint for each problem. It
 * changes nothing. `enqueue` runs it before the first job of a fleet. For the options see `options.ts`.
 */
import { azureIdentity, storageAccount } from '../../shared/azure/credentials.ts';
import { findReadyStack } from '../../shared/command/local-stack.ts';
import { print, runCommand, say } from '../../shared/command/run-command.ts';
import type { DoctorReport } from '../../shared/contract/finding.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { quoteCommands } from '../../shared/runtime/quote-commands.ts';
import { Arm } from './azure/arm.ts';
import { planChecks } from './azure/check-plan.ts';
import { ScaleSetCheck } from './azure/check-scale-sets.ts';
import type { FleetPlan } from './azure/judge-pools.ts';
import { type Check, runChecks } from './check.ts';
import { type DoctorConfig, doctorConfig } from './config.ts';
import { formatFinding, formatSummary, okFinding } from './finding.ts';
import { machineChecks } from './machine/check-machine.ts';
import { type DoctorOptions, parseOptions } from './options.ts';
import { storageChecks } from './storage/check-storage.ts';

const argv = process.argv.slice(2);
await runCommand(argv, main);

async function main(): Promise<number> {
  const options = parseOptions(argv);
  if (options === null) return EXIT.ok;
  const findings = await runChecks(await checksFor(options, doctorConfig()), clock);
  if (options.asJson) print(JSON.stringify({ findings } satisfies DoctorReport));
  else {
    for (const finding of findings) print(quoteCommands(formatFinding(finding)));
    say(formatSummary(findings));
  }
  return findings.some(({ verdict }) => verdict === 'error') ? EXIT.unavailable : EXIT.ok;
}

async function checksFor({ planned }: DoctorOptions, config: DoctorConfig): Promise<Check[]> {
  if (planned !== null) {
    const { subscriptionId, location, size, instances } = planned;
    const arm = new Arm({ subscriptionId, credential: await azureIdentity() });
    const pools = (['spot', 'on-demand'] as const).map((kind) => ({ size, kind, zones: [], running: 0 }));
    const plan: FleetPlan = { location, pools, instances };
    return planChecks(arm, () => Promise.resolve(plan), { isDeployed: false });
  }
  const { mediaStorage, localFolder, environment } = config;
  if (mediaStorage !== undefined) return fleetChecks(config, mediaStorage);
  const isUp = (await findReadyStack(localFolder)) !== undefined;
  const stack: Check = {
    topic: 'fleet',
    run: () => Promise.resolve(isUp ? [okFinding('fleet', `running in ${localFolder}`)] : []),
  };
  return [...machineChecks(localFolder, environment), stack];
}

async function fleetChecks(config: DoctorConfig, media: string): Promise<Check[]> {
  const { systemStorage: system, scalerUrl, subscriptionId, resourceGroup, scaleSets, instances } = config;
  const accounts = {
    media: storageAccount(media),
    system: system === undefined ? null : storageAccount(system),
  };
  const checks = storageChecks({
    settings: { media, system },
    accounts,
    scalerUrl,
    isProxied: config.isProxied,
    clock,
  });
  if (subscriptionId === undefined || resourceGroup === undefined || scaleSets === undefined) return checks;
  const arm = new Arm({ subscriptionId, credential: await azureIdentity() });
  const scaleSetCheck = new ScaleSetCheck(arm, { resourceGroup, scaleSets, instances });
  return [
    ...checks,
    scaleSetCheck.check(),
    ...planChecks(arm, () => scaleSetCheck.plan(), { isDeployed: true }),
  ];
}
