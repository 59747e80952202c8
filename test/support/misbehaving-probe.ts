/** A provider probe that misbehaves. The requested provider selects how. */
const [, , provider = ''] = process.argv;
process.stderr.write('the last words\n');
switch (provider) {
  case 'tensorrt':
    runForever();
    break;
  case 'cuda':
    process.kill(process.pid, 'SIGSEGV');
    runForever(); // Until the signal arrives.
    break;
  case 'webgpu':
    process.stdout.write('{"ok": true}\n');
    process.exitCode = 3;
    break;
  default:
    process.stdout.write('all is well\n');
}

function runForever(): void {
  setInterval(() => undefined, 1_000);
}
