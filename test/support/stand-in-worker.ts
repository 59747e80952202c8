/** A worker as far as its process goes: says that it is ready, leaves its pid where a test finds it, and ends when it is told to. With `STAND_IN_FAILS` it ends before it is ready. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';

const { STAND_IN_FOLDER: folder, STAND_IN_FAILS: fails, FRAMEFLEET_VM_ID: vmId } = process.env;
if (fails !== undefined) process.exit(1);
const alive = setInterval(() => undefined, 60_000);

process.once('SIGTERM', () => {
  clearInterval(alive);
  process.disconnect();
});
process.once('disconnect', () => clearInterval(alive));
if (folder !== undefined && vmId !== undefined) writeFileSync(path.join(folder, vmId), String(process.pid));
process.send?.({ type: 'ready', port: 0 });
