// Notifications in the browser: one WebSocket that signs in, resumes where it was, renews its token
// and reconnects by itself. No dependencies.
//
//   const client = new NotificationClient({
//     getToken: () => fetchToken(),
//     onEvent: (event) => { if (event.type === 'task_completed') show(event.task_id); },
//     onGap: () => reloadCurrentState(),
//   });
//   client.start();
//
// Every event arrives once and in order. Where that cannot be kept (the history is gone), `onGap` is
// called before the events that follow. Closes and their codes: services/edge/README.md.

/** The kinds of events. */
export type EventType =
    'task_started'|'task_progress'|'task_completed'|'task_failed'|'task_cancelled'|'budget_alert'|
    'system_alert'|'performance_alert';

/** What a task's events carry; which of it depends on the type. */
export interface TaskPayload {
  task_type: string;
  status: string;
  /** 0 to 100. */
  progress?: number;
  progress_message?: string;
  attempt?: number;
  /** RFC 3339; when a task that failed is tried again. */
  next_run_at?: string;
  /** Of a task that failed: a stable name. */
  reason?: string;
  message?: string;
  artifacts?: unknown[];
}

interface EventBase {
  /** UUID; the same for every receiver and after a resume. */
  event_id: string;
  /** "user:U", "tenant:T" or "broadcast". */
  channel: string;
  /** "epoch:offset" in the channel; empty for progress, which is state and not history. */
  position: string;
  /** Where to resume after it; opaque. */
  cursor: string;
  /** RFC 3339. */
  created_at: string;
  correlation_id: string;
}

export interface TaskEvent extends EventBase {
  type: 'task_started'|'task_progress'|'task_completed'|'task_failed'|'task_cancelled';
  task_id: string;
  payload: TaskPayload;
}

export interface AlertEvent extends EventBase {
  type: 'budget_alert'|'system_alert'|'performance_alert';
  task_id: string;
  payload: Record<string, unknown>;
}

export type NotificationEvent = TaskEvent|AlertEvent;

export type ConnectionState = 'connecting'|'open'|'waiting'|'stopped';

/** Why the client has given up: a new token, or a corrected program, is needed. */
export interface StopReason {
  code: number;
  reason: string;
}

export interface NotificationClientOptions {
  /** A token that is valid now; asked for at each connect and before the last one expires. */
  getToken: () => string|Promise<string>;
  onEvent: (event: NotificationEvent) => void;
  /** Events may be missing between the last one and the next: read the current state anew. */
  onGap?: () => void;
  onState?: (state: ConnectionState, why?: StopReason) => void;
  /** Of /ws; by default at the page's own origin. */
  url?: string;
  /** Where to start; by default from now. */
  cursor?: string;
  /** Only these; by default all. */
  types?: EventType[];
  /** Bounds of the pause before a reconnect, in milliseconds; 500 and 30,000 by default. */
  minBackoffMs?: number;
  maxBackoffMs?: number;
  /** A connection that is silent for this long is asked, and left when it does not answer. */
  quietMs?: number;
}

const CLOSE = {
  goingAway: 1001,
  unauthenticated: 4401,
  forbidden: 4403,
  idle: 4410,
  tokenExpired: 4419,
  tooManyMessages: 4429,
  tooManyConnections: 4430,
} as const;
// After one of these another try would end the same way.
const FINAL_CODES: readonly number[] = [1002, 1003, 1007, 1009, CLOSE.forbidden];
// How long the answer to a ping may take, in milliseconds.
const PONG_MS = 10_000;

/** The pause before try number `attempt` (from 0): even between 0 and a bound that doubles. */
export function backoffMs(attempt: number, minMs: number, maxMs: number,
                          random: () => number = Math.random): number {
  return random() * Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30));
}

interface ServerMessage {
  type: string;
  cursor?: string;
  recovered?: boolean;
}

export class NotificationClient {
  private readonly options: NotificationClientOptions;
  private socket: WebSocket|null = null;
  private timer: ReturnType<typeof setTimeout>|undefined;
  private quiet: ReturnType<typeof setTimeout>|undefined;
  private lastCursor: string;
  private attempt = 0;
  private refusedInARow = 0;
  private running = false;
  // Replaced by each connect, so that what an older one still says is not heard.
  private generation = 0;
  private readonly wake = () => {
    if (this.running && this.socket === null) this.connectNow();
  };

  constructor(options: NotificationClientOptions) {
    this.options = options;
    this.lastCursor = options.cursor ?? '';
  }

  /** Where a later client may resume. */
  get cursor(): string {
    return this.lastCursor;
  }

  start(): void {
    if (this.running) return;
    this.running = true;
    this.attempt = this.refusedInARow = 0;
    globalThis.addEventListener?.('online', this.wake);
    this.connectNow();
  }

  stop(): void {
    this.end();
    this.options.onState?.('stopped');
  }

  private end(): void {
    this.running = false;
    this.generation++;
    clearTimeout(this.timer);
    clearTimeout(this.quiet);
    globalThis.removeEventListener?.('online', this.wake);
    this.socket?.close(1000);
    this.socket = null;
  }

  private connectNow(): void {
    clearTimeout(this.timer);
    const generation = ++this.generation;
    this.options.onState?.('connecting');
    void this.connect(generation);
  }

  private async connect(generation: number): Promise<void> {
    let token: string;
    try {
      token = await this.options.getToken();
    } catch {
      // Whoever gives tokens may be unreachable for the same reason as the edge.
      if (generation === this.generation) this.retry();
      return;
    }
    if (generation !== this.generation) return;
    const socket = new WebSocket(this.options.url ?? defaultUrl());
    this.socket = socket;
    socket.onopen = () => this.send(
        socket, {type: 'auth', token, cursor: this.lastCursor, types: this.options.types ?? []});
    socket.onmessage = (message: MessageEvent<string>) => {
      if (generation === this.generation) this.receive(socket, message.data);
    };
    socket.onclose = (close) => {
      if (generation === this.generation) this.closed(close.code, close.reason);
    };
  }

  private send(socket: WebSocket, message: object): void {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  }

  private receive(socket: WebSocket, data: string): void {
    this.watchQuiet(socket);
    const message = JSON.parse(data) as ServerMessage;
    switch (message.type) {
      case 'subscribed':
        this.attempt = this.refusedInARow = 0;
        this.lastCursor = message.cursor ?? '';
        this.options.onState?.('open');
        if (message.recovered === false) this.options.onGap?.();
        return;
      case 'token_expiring':
        void this.refresh(socket);
        return;
      case 'pong':
      case 'refreshed':
      case 'reconnect':
        return;
      default:
        // Moved on first: an event that a handler fails at is not delivered again.
        if (message.cursor) this.lastCursor = message.cursor;
        this.options.onEvent(message as unknown as NotificationEvent);
    }
  }

  private async refresh(socket: WebSocket): Promise<void> {
    try {
      const token = await this.options.getToken();
      if (socket === this.socket) this.send(socket, {type: 'refresh', token});
    } catch {
      // The token runs out, the edge closes, and the reconnect asks again.
    }
  }

  // A network that is gone says nothing, and a browser notices it late.
  private watchQuiet(socket: WebSocket): void {
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      this.send(socket, {type: 'ping'});
      this.quiet = setTimeout(() => {
        if (socket !== this.socket) return;
        this.generation++;
        socket.close();
        this.closed(CLOSE.idle, 'no answer');
      }, PONG_MS);
    }, this.options.quietMs ?? 45_000);
  }

  private closed(code: number, reason: string): void {
    clearTimeout(this.quiet);
    this.socket = null;
    if (FINAL_CODES.includes(code)) return this.giveUp(code, reason);
    if (code === 1008) {
      // The cursor is the only thing that the program does not make itself.
      if (!this.lastCursor) return this.giveUp(code, reason);
      this.lastCursor = '';
      this.options.onGap?.();
      return this.connectNow();
    }
    if (code === CLOSE.unauthenticated && ++this.refusedInARow > 1) {
      return this.giveUp(code, reason);  // a new token was refused, too
    }
    if (code === CLOSE.tokenExpired || code === CLOSE.unauthenticated) return this.connectNow();
    if (code === CLOSE.tooManyMessages || code === CLOSE.tooManyConnections) {
      this.attempt = Math.max(this.attempt, 4);
    }
    this.retry();
  }

  private retry(): void {
    this.options.onState?.('waiting');
    const pause = backoffMs(this.attempt++, this.options.minBackoffMs ?? 500,
                            this.options.maxBackoffMs ?? 30_000);
    this.timer = setTimeout(() => this.connectNow(), pause);
  }

  private giveUp(code: number, reason: string): void {
    this.end();
    this.options.onState?.('stopped', {code, reason});
  }
}

function defaultUrl(): string {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  return `${scheme}://${location.host}/ws`;
}
