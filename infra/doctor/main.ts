/**
 * `npm run doctor`: looks whether everything is there that a job needs, on this machine or on Azure, and says what to do where
 * it is not. Changes nothing. `enqueue` runs it before a fleet's first job. See `options.ts`.
 */
import { azureIdentity, storageAccount } from '../../shared/azure/credentials.ts';
import { findReadyStack } from '../../shared/command/local-stack.ts';
import { print, runCommand } from '../../shared/command/run-command.ts';
import type { DoctorReport } from '../../shared/contract/finding.ts';
import { systemClock as clock } from '../../shared/runtime/clock.ts';
import { EXIT } from '../../shared/runtime/errors.ts';
import { Arm } from './azure/ask-arm.ts';
import type { Plan } from './azure/judge-pools.ts';
import { planLooks } from './azure/look-at-plan.ts';
import { ScaleSets } from './azure/look-at-scale-sets.ts';
import { type DoctorConfig, doctorConfig } from './config.ts';
import { findingText, right, summary } from './finding.ts';
import { type Look, lookAt } from './look.ts';
import { machineLooks } from './machine/look-at-machine.ts';
import { type DoctorOptions, parseOptions } from './options.ts';
import { storageLooks } from './storage/look-at-storage.ts';

const argv = process.argv.slice(2);
process.exitCode = await runCommand(argv, main);
// What a library still keeps open (connections, timers) must not keep the shell waiting.
process.exit();

async function main(): Promise<number> {
  const options = parseOptions(argv);
  if (options === null) return EXIT.ok;
  const findings = await lookAt(await looksFor(options, doctorConfig()), clock);
  if (options.asJson) print(JSON.stringify({ findings } satisfies DoctorReport));
  else {
    for (const finding of findings) print(findingText(finding));
    process.stderr.write(`${summary(findings)}\n`);
  }
  return findings.some(({ verdict }) => verdict === 'wrong') ? EXIT.unavailable : EXIT.ok;
}

async function looksFor({ planned }: DoctorOptions, config: DoctorConfig): Promise<Look[]> {
  if (planned !== null) {
    const { subscriptionId, location, size, machines } = planned;
    const arm = new Arm({ subscriptionId, credential: await azureIdentity() });
    const pools = (['spot', 'on-demand'] as const).map((kind) => ({ size, kind, zones: [], running: 0 }));
    const plan: Plan = { location, pools, machines };
    return planLooks(arm, () => Promise.resolve(plan), { isDeployed: false });
  }
  const { mediaStorage, localFolder, environment } = config;
  if (mediaStorage !== undefined) return fleetLooks(config, mediaStorage);
  const isUp = (await findReadyStack(localFolder)) !== undefined;
  const stack: Look = {
    topic: 'fleet',
    find: () => Promise.resolve(isUp ? [right('fleet', `the one of ${localFolder} is up`)] : []),
  };
  return [...machineLooks({ localFolder, environment }), stack];
}

async function fleetLooks(config: DoctorConfig, media: string): Promise<Look[]> {
  const { systemStorage: system, scalerUrl, subscriptionId, resourceGroup, scaleSets, machines } = config;
  const accounts = {
    media: storageAccount(media),
    system: system === undefined ? null : storageAccount(system),
  };
  const looks = storageLooks({
    settings: { media, system },
    accounts,
    scalerUrl,
    isProxied: config.isProxied,
    clock,
  });
  if (subscriptionId === undefined || resourceGroup === undefined || scaleSets === undefined) return looks;
  const arm = new Arm({ subscriptionId, credential: await azureIdentity() });
  const seen = new ScaleSets(arm, { resourceGroup, scaleSets, machines });
  return [...looks, seen.look(), ...planLooks(arm, () => seen.plan(), { isDeployed: true })];
}
