/** The override in force, and the form that sets or ends one. Each needs a reason, which is recorded. */
import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';

import type { FleetNow } from '../../contract.ts';
import { fleetAfterOrder } from '../fleet-state.ts';
import { timeText } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { announce } from '../parts/announce.ts';
import { textsIn } from '../parts/form-text.ts';
import { Notice } from '../parts/notice.ts';
import { Segments } from '../parts/segments.ts';
import { useAction } from '../parts/use-action.ts';
import { send } from '../server.ts';

const MODES = [
  { value: 'fixed', label: 'exactly' },
  { value: 'min', label: 'at least' },
  { value: 'max', label: 'at most' },
  { value: 'pause', label: 'pause' },
] as const;
type OverrideMode = (typeof MODES)[number]['value'];
const MINUTES = [
  { minutes: 15, label: '15 minutes' },
  { minutes: 60, label: '1 hour' },
  { minutes: 4 * 60, label: '4 hours' },
  { minutes: 24 * 60, label: '1 day' },
  { minutes: 7 * 24 * 60, label: '7 days' },
] as const;

interface OverridePanelOptions {
  readonly override: FleetNow['override'];
  readonly capacityMax: number | null;
}

export function OverridePanel({ override, capacityMax }: OverridePanelOptions): Html {
  const title = useRef<HTMLHeadingElement>(null);
  // The button that has the focus goes with its form.
  const onDone = (fleet: FleetNow, sentence: string) => {
    title.current?.focus();
    fleetAfterOrder(fleet);
    announce(sentence);
  };
  return html`
    <section class="panel" aria-labelledby="override-title">
      <h2 id="override-title" tabindex="-1" ref=${title}>Override</h2>
      ${override === null ? h(SetOverride, { capacityMax, onDone }) : h(EndOverride, { override, onDone })}
    </section>
  `;
}

interface OverrideFormOptions {
  /** With what to tell the visitor. */
  readonly onDone: (fleet: FleetNow, sentence: string) => void;
}

function SetOverride({
  capacityMax,
  onDone,
}: OverrideFormOptions & Pick<OverridePanelOptions, 'capacityMax'>): Html {
  const mode = useSignal<OverrideMode>('fixed');
  const action = useAction();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = textsIn(event);
    const capacity = mode.value === 'pause' ? {} : { capacity: Number(fields.get('capacity')) };
    const ttlSeconds = Number(fields.get('minutes')) * 60;
    const body = { mode: mode.value, ...capacity, ttlSeconds, reason: fields.get('reason') };
    action.run(async () => {
      onDone(await send<FleetNow>('PUT', 'override', { body }), 'The override is set.');
    });
  };
  return html`
    <form class="stack" onSubmit=${submit}>
      <p class="hint">Sets the number of machines in place of the scaler, for a time.</p>
      ${h(Segments<OverrideMode>, {
        title: 'Kind',
        name: 'mode',
        choices: MODES,
        chosen: mode.value,
        onChoose: (value) => {
          mode.value = value;
        },
      })}
      ${
        mode.value === 'pause'
          ? html`<p class="hint">No machine starts. Running ones finish their work and are removed.</p>`
          : html`
              <label>
                Machines
                <input
                  type="number"
                  name="capacity"
                  min="0"
                  max=${capacityMax ?? 1000}
                  step="1"
                  defaultValue="1"
                  required
                />
              </label>
            `
      }
      <label>
        For
        <select name="minutes">
          ${MINUTES.map(({ minutes, label }) => html`<option value=${minutes} selected=${minutes === 60}>${label}</option>`)}
        </select>
      </label>
      <label>Reason <input name="reason" required maxlength="200" autocomplete="off" /></label>
      <button type="submit" class="primary" disabled=${action.isRunning}>Set the override</button>
      ${action.failure && h(Notice, { trouble: action.failure })}
    </form>
  `;
}

interface EndOverrideOptions extends OverrideFormOptions {
  readonly override: NonNullable<FleetNow['override']>;
}

function EndOverride({ override, onDone }: EndOverrideOptions): Html {
  const action = useAction();
  const { mode, capacity, author, reason, endsAt } = override;
  const words = MODES.find((one) => one.value === mode)?.label ?? mode;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const body = { reason: textsIn(event).get('reason') };
    action.run(async () => {
      onDone(await send<FleetNow>('DELETE', 'override', { body }), 'The override has ended.');
    });
  };
  return html`
    <div class="in-force">
      <p>
        <strong>${mode === 'pause' ? 'Paused' : `${words} ${capacity}`}</strong> until${' '}
        ${timeText(endsAt, new Date())}
      </p>
      <p>“${reason}”, ${author}</p>
    </div>
    <form class="stack" onSubmit=${submit}>
      <label>Reason to end it <input name="reason" required maxlength="200" autocomplete="off" /></label>
      <button type="submit" disabled=${action.isRunning}>End the override</button>
      ${action.failure && h(Notice, { trouble: action.failure })}
    </form>
  `;
}
