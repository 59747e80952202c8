/** Runs the boot scripts of an instance with fakes for Azure's metadata service, the registry and Docker. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { SIZES, at, bootTextOf, stateOf } from './state.ts';

/** In the order in which the systemd unit runs them. */
const PROGRAMS = ['framefleet-image', 'framefleet-worker'] as const;
const CURL = `#!/usr/bin/env bash
printf 'curl %s\\n' "$*" >> "$CALLS"
case "$*" in
  *identity/oauth2/token*) echo '{"access_token": "for-azure"}' ;;
  *oauth2/exchange*) cat >> "$CALLS"; echo >> "$CALLS"; echo '{"refresh_token": "for-the-registry"}' ;;
  *compute/vmId*) printf '0A1B2C3D-0000-4000-8000-00000000000F' ;;
  *compute/name*) printf 'gpu-spot_17' ;;
esac
`;
const DOCKER = `#!/usr/bin/env bash
printf 'docker %s\\n' "$*" >> "$CALLS"
[[ $1 == login ]] && { printf 'password %s\\n' "$(cat)" >> "$CALLS"; }
[[ $1 == image ]] && exit "$HAS_IMAGE"
exit 0
`;

describe('an instance that boots', () => {
  let folder = '';

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'framefleet-boot-'));
    for (const program of PROGRAMS)
      writeFileSync(path.join(folder, program), fileOf(`/usr/local/bin/${program}`), { mode: 0o755 });
    writeFileSync(path.join(folder, 'curl'), CURL, { mode: 0o755 });
    writeFileSync(path.join(folder, 'docker'), DOCKER, { mode: 0o755 });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs the programs of the unit for the fourth GPU. */
  function start({ hasImage }: { readonly hasImage: boolean }): string {
    const callsFile = path.join(folder, 'calls');
    const env = {
      PATH: `${folder}:${process.env['PATH'] ?? ''}`,
      RUNTIME_DIRECTORY: folder,
      CALLS: callsFile,
      HAS_IMAGE: hasImage ? '0' : '1',
    };
    for (const program of PROGRAMS) execFileSync(path.join(folder, program), ['3'], { env });
    return readFileSync(callsFile, 'utf8');
  }

  test('logs in to the registry with its managed identity, pulls the image and logs out', () => {
    const calls = start({ hasImage: false });
    expect(calls).toContain('access_token=for-azure');
    expect(calls).toContain('password for-the-registry');
    expect(calls).toMatch(/docker pull --quiet \S+\/framefleet\/worker:\S+/);
    expect(calls).toContain('docker logout');
    expect(calls).not.toMatch(/^(curl|docker) .*for-(azure|the-registry)/m);
  });

  test('does not pull an image that is present', () => {
    const calls = start({ hasImage: true });
    expect(calls).not.toContain('oauth2');
    expect(calls).not.toContain('docker pull');
  });

  test('runs the worker of its GPU with its id and name, and with minimal privileges', () => {
    const line = start({ hasImage: true })
      .split('\n')
      .find((one) => one.startsWith('docker run'));
    expect(line).toContain('--env FRAMEFLEET_VM_ID=0a1b2c3d-0000-4000-8000-00000000000f');
    expect(line).toContain('--env FRAMEFLEET_VM_NAME=gpu-spot_17');
    expect(line).toContain('--env FRAMEFLEET_GPU=3');
    expect(line).toContain('--gpus all');
    expect(line).toContain('--network host');
    expect(line).toContain('--read-only');
    expect(line).toContain('--user 65532:65532 --cap-drop ALL --security-opt no-new-privileges');
  });
});

test('an instance has one unit per GPU, with time to drain before an eviction', () => {
  const unit = fileOf('/etc/systemd/system/framefleet-worker@.service');
  expect(unit).toContain('ExecStop=/usr/bin/docker stop --time 25');
  expect(unit).toContain('TimeoutStopSec=30');
  expect(unit).toContain('Restart=always');
  const programs = [...unit.matchAll(/^ExecStart(?:Pre)?=\/usr\/local\/bin\/(\S+)/gm)];
  expect(programs.map(([, program]) => program)).toEqual(PROGRAMS);
  expect(bootText()).toContain('"framefleet-worker@0.service"');
  expect(bootText()).toContain('"--no-block"');
  expect(bootText()).not.toContain('"framefleet-worker@1.service"');
});

test('the instance from which an image is baked pulls the same image and runs no worker', () => {
  const boot = String(at(stateOf('small').outputs, 'bake_boot', 'value'));
  expect(boot).toContain(String(at(stateOf('small').outputs, 'worker_image', 'value')));
  expect(boot).toContain('"path": "/usr/local/bin/framefleet-image"');
  expect(boot).not.toMatch(/framefleet-worker|runcmd|worker\.env/);
  const replicas = SIZES.map((size) => at(stateOf(size).outputs, 'worker_image_replicas', 'value'));
  expect(replicas).toEqual([1, 2]);
});

test.each(PROGRAMS)('%s is valid bash', (program) => {
  const { status, stderr } = spawnSync('bash', ['-n'], {
    input: fileOf(`/usr/local/bin/${program}`),
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

function bootText(): string {
  const [scaleSet] = stateOf('small').ofType('azurerm_linux_virtual_machine_scale_set');
  if (scaleSet === undefined) throw new Error('expected a scale set');
  return bootTextOf(scaleSet);
}

/** The text of a file in the cloud-init data: a YAML block, indented by four. */
function fileOf(place: string): string {
  const blocks = bootText().split(/^- "content": \|\n/m);
  const block = blocks.find((one) => one.includes(`\n  "path": "${place}"\n`)) ?? '';
  const end = block.indexOf('\n  "path":');
  return `${block.slice(0, end)}\n`.replaceAll(/^ {4}/gm, '');
}
