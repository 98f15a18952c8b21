// Updates the phone in place. Without this script, the page works with forms and reloads.
'use strict';
(() => {
  const root = document.documentElement;
  const THEME = 'mynah-theme';
  const remembered = () => { try { return localStorage.getItem(THEME); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem(THEME, theme); } catch { /* private browsing */ } };
  // Set the theme before the first paint, so that the page does not flash.
  if (remembered()) root.dataset.theme = remembered();

  const start = () => {
    const byId = (id) => document.getElementById(id);
    const [log, bubbles, typing, fresh, lost] = ['log', 'bubbles', 'typing', 'fresh', 'lost'].map(byId);
    const [composer, text, problem, theme] = ['composer', 'text', 'problem', 'theme'].map(byId);

    theme.hidden = false;
    theme.addEventListener('click', () => {
      const dark = root.dataset.theme
        ? root.dataset.theme === 'dark'
        : matchMedia('(prefers-color-scheme: dark)').matches;
      root.dataset.theme = dark ? 'light' : 'dark';
      remember(root.dataset.theme);
    });

    // Show times in the reader's time zone, not the server's.
    const localTime = (scope) => {
      for (const time of scope.querySelectorAll('time')) {
        const at = new Date(time.dateTime);
        time.textContent = at.toLocaleTimeString([], { hour: 'numeric', minute: '2-digit' });
        time.title = at.toLocaleString();
      }
    };
    localTime(bubbles);

    // The log is reversed: 0 is its end, and positions above it are negative.
    const atEnd = () => log.scrollTop > -24;
    let unread = 0;
    const toEnd = () => { log.scrollTop = 0; unread = 0; fresh.hidden = true; };
    fresh.addEventListener('click', () => { toEnd(); text.focus(); });
    log.addEventListener('scroll', () => { if (atEnd()) { unread = 0; fresh.hidden = true; } }, { passive: true });
    // Keep the scroll position while someone reads older messages.
    const keepPlace = (change) => {
      const end = atEnd();
      const before = log.scrollHeight;
      const place = log.scrollTop;
      change();
      log.scrollTop = end ? 0 : place - (log.scrollHeight - before);
      return end;
    };

    const show = ({ sid, html }) => {
      const holder = document.createElement('template');
      holder.innerHTML = html;
      const bubble = holder.content.firstElementChild;
      const known = byId(`m-${sid}`);
      if (known) {
        // Update only what changed: a screen reader would read a replaced bubble again.
        known.dataset.status = bubble.dataset.status;
        for (const part of ['.ticks .sr', ':scope > .problem']) {
          const [old, now] = [known.querySelector(part), bubble.querySelector(part)];
          if (old && now && old.textContent !== now.textContent) old.textContent = now.textContent;
        }
        return;
      }
      localTime(bubble);
      bubble.classList.add('arrived');
      byId('empty')?.remove();
      const mine = bubble.classList.contains('mine');
      const end = keepPlace(() => bubbles.append(bubble));
      if (mine) toEnd();
      else if (!end) {
        unread += 1;
        fresh.textContent = `${unread} new`;
        fresh.hidden = false;
      }
    };

    let stop;
    const write = (left) => {
      clearTimeout(stop);
      keepPlace(() => { typing.hidden = left <= 0; });
      if (left > 0) stop = setTimeout(() => write(0), left);
    };

    const source = new EventSource(`/events?after=${encodeURIComponent(log.dataset.seen)}`);
    source.addEventListener('bubble', (event) => show(JSON.parse(event.data)));
    source.addEventListener('typing', (event) => write(Number(event.data)));
    source.addEventListener('reload', () => { source.close(); location.reload(); });
    source.addEventListener('open', () => { lost.textContent = ''; });
    source.addEventListener('error', () => {
      lost.textContent = 'No connection: mynah may have stopped. Start it again, and this page reconnects by itself.';
      // A refused connection ends the event source for good, so reload the page.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
    });
    addEventListener('pagehide', () => source.close());

    const send = async (message) => {
      problem.textContent = '';
      try {
        const answer = await fetch('/send', {
          method: 'POST',
          body: new URLSearchParams({ text: message }),
          redirect: 'manual',
        });
        if (answer.type === 'opaqueredirect') return true;
        problem.textContent = `Not sent: mynah answered ${answer.status}. Shorten the message or try again.`;
      } catch {
        problem.textContent = 'Not sent: mynah does not answer. Check that it is running, and try again.';
      }
      return false;
    };
    document.addEventListener('submit', async (event) => {
      event.preventDefault();
      const starter = event.submitter?.name === 'text' ? event.submitter.value : null;
      const message = (starter ?? text.value).trim();
      if (!message) return;
      if (starter === null) text.value = '';
      text.focus();
      if (!(await send(message)) && !text.value) text.value = message;
    });
    text.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        composer.requestSubmit();
      }
    });
    if (matchMedia('(hover: hover)').matches) text.focus();
  };

  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
  else start();
})();
