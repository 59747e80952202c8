/** A probe that does not do what probes do: the provider it is asked for says how. */
const [, , provider = ''] = process.argv;
process.stderr.write('the last words\n');
switch (provider) {
  case 'tensorrt':
    stayForEver();
    break;
  case 'cuda':
    process.kill(process.pid, 'SIGSEGV');
    stayForEver(); // Should the signal take a moment.
    break;
  case 'webgpu':
    process.stdout.write('{"ok": true}\n');
    process.exitCode = 3;
    break;
  default:
    process.stdout.write('all is well\n');
}

function stayForEver(): void {
  setInterval(() => undefined, 1_000);
}
