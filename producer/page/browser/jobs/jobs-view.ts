/** All jobs, the newest first, with a filter by state and a search. */
import { useEffect } from 'preact/hooks';

import { countWithNoun } from '../format.ts';
import { type Html, h, html } from '../html.ts';
import { streamsOpened } from '../live.ts';
import { Notice } from '../parts/notice.ts';
import { Segments } from '../parts/segments.ts';
import { useTitle } from '../parts/use-title.ts';
import { WindowGrid } from '../parts/window-grid.ts';
import { restoreScroll } from '../route.ts';
import { JobCard, jobCardHeight } from './job-card.ts';
import {
  type ListFilter,
  filterJobs,
  followJobs,
  jobFilter,
  jobsTotal,
  jobsUnread,
  listFailure,
  listedJobs,
  loadMoreJobs,
  refreshJobs,
  showWaitingJobs,
  waitingJobs,
} from './job-list.ts';
import { JOB_STATE_FILTERS, type StateFilter } from './state-filters.ts';

/** Between the last key and the search, so that a word is one request. */
const TYPING_MS = 250;
/** While the server still reads old jobs. */
const UNREAD_MS = 2000;

export function JobsView(): Html {
  useTitle('Jobs');
  useEffect(() => {
    if (jobsTotal.peek() !== undefined) restoreScroll();
    return followJobs();
  }, []);
  // What happened while another view was shown, or between two streams of events, is not in the list.
  useEffect(() => void refreshJobs().then(restoreScroll), [streamsOpened.value]);
  const isPartial = isFiltered(jobFilter.value) && jobsUnread.value > 0;
  useEffect(() => {
    if (!isPartial) return undefined;
    const timer = setInterval(() => scrollY === 0 && void filterJobs(jobFilter.peek()), UNREAD_MS);
    return () => clearInterval(timer);
  }, [isPartial]);
  const total = jobsTotal.value;
  const failure = listFailure.value;
  return html`
    <header class="view-head">
      <h1 tabindex="-1">Jobs</h1>
      <p class="count" role="status">
        ${total === undefined ? '' : countWithNoun(total, 'job')}
        ${isPartial && `, ${countWithNoun(jobsUnread.value, 'older job')} not read yet`}
      </p>
      ${h(Filters, {})}
    </header>
    ${failure && h(Notice, { trouble: failure, retry: () => void refreshJobs() })}
    ${
      waitingJobs.value.length > 0 &&
      html`<p class="newer">
        <button type="button" class="primary" onClick=${showNewer}>
          Show ${countWithNoun(waitingJobs.value.length, 'new job')}
        </button>
      </p>`
    }
    ${
      total === 0
        ? h(Empty, {})
        : h(WindowGrid, {
            label: 'Jobs',
            count: listedJobs.value.length,
            total: total ?? 0,
            keyOf: (index) => listedJobs.value[index]?.jobId ?? '',
            render: renderJob,
            heightOf: jobCardHeight,
            onEnd: () => void loadMoreJobs(),
          })
    }
  `;
}

function isFiltered({ states, search }: ListFilter): boolean {
  return states.length > 0 || search !== '';
}

function renderJob(index: number) {
  const job = listedJobs.value[index];
  return job === undefined ? html`<span></span>` : h(JobCard, { job });
}

function showNewer(): void {
  showWaitingJobs();
  scrollTo(0, 0);
}

function Empty(): Html {
  if (isFiltered(jobFilter.value)) return html`<p class="empty">No job matches.</p>`;
  return html`
    <div class="empty">
      <p>No jobs yet. Drop a video or images on this page.</p>
      <p><a class="button primary" href="/new">New job</a></p>
    </div>
  `;
}

function Filters(): Html {
  const { states, search } = jobFilter.value;
  const chosen = JOB_STATE_FILTERS.find((filter) => filter.states.join() === states.join());
  return html`
    <search class="filters">
      ${h(Segments<StateFilter['states']>, {
        title: 'Show',
        name: 'state',
        choices: JOB_STATE_FILTERS.map((filter) => ({ value: filter.states, label: filter.label })),
        chosen: chosen?.states,
        onChoose: chooseStates,
      })}
      <label class="find">
        <span class="unseen">Search by name or ID</span>
        <input
          type="search"
          placeholder="Search"
          value=${search}
          onInput=${typeSearch}
          autocomplete="off"
          spellcheck="false"
        />
      </label>
    </search>
  `;
}

function chooseStates(states: StateFilter['states']): void {
  void filterJobs({ ...jobFilter.peek(), states });
}

function typeSearch(event: Event): void {
  const search = (event.target as HTMLInputElement).value.trim();
  clearTimeout(typing);
  typing = setTimeout(() => void filterJobs({ ...jobFilter.peek(), search }), TYPING_MS);
}

let typing: ReturnType<typeof setTimeout> | undefined;
