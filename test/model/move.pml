/* A tenant moves while a client writes to it, reads it and deletes from it. One document is watched; the bulk copy has two batches and the
 * watched document may be in either, so that a checkpoint lies before or behind it. Every statement outside atomic is one round trip, before
 * and after which any process may stall for as long as it likes.
 *
 * The client's operations follow each other, but it may stop waiting for any write, which then stays on its way. What it sees must be explained
 * by a register: every write takes effect once, between its start and its answer, and no value comes back after a newer one was seen.
 *
 * The mover's labels are the steps of the code: journal, copy, drain, verify, drain again, gate, clean. Both sides are compared as a whole once,
 * in `verify`; from then on what a note names is compared after it was copied, and noted anew when it differs. The gate does that once: what still
 * differs opens it again, and after TRIES of it the move stops where it is. */
#ifndef WRITES
#define WRITES 2
#endif
#ifndef SECOND            /* what the second mover does: 0 nothing, 1 takes over, 2 cancels and starts anew, 3 moves the tenant on after the first move */
#define SECOND 0
#endif
#ifndef SHARED            /* 0: the target is a collection of its own, a successor renames it; 1: a tenant key in the shared collection */
#define SHARED 0
#endif
#ifndef DELETES
#define DELETES 1
#endif
#ifndef PRESENT           /* 1: the document is there at first; 0: it is there, or isn't */
#define PRESENT 0
#endif
#ifndef STRICT            /* 1: even a write that arrives after its lease ran out may not be seen and vanish; the code doesn't go so far */
#define STRICT 0
#endif
#ifndef FAULTY            /* 1: any copy may leave the document as it was at the target, and say nothing of it; where none does the comparisons
                           * find nothing but what is noted as well, and are left out */
#define FAULTY 0
#endif
#ifndef TRIES
#define TRIES 2
#endif
/* The rules; each is taken out by setting it to 0. */
#ifndef WAIT_IN_JOURNAL
#define WAIT_IN_JOURNAL 1
#endif
#ifndef WAIT_IN_GATE
#define WAIT_IN_GATE 1
#endif
#ifndef NOTE
#define NOTE 1
#endif
#ifndef NOTE_AGAIN
#define NOTE_AGAIN 1
#endif
#ifndef SETTLE_LATE
#define SETTLE_LATE 1
#endif
#ifndef DRAIN_IN_GATE
#define DRAIN_IN_GATE 1
#endif
#ifndef COMPARE_ALL           /* both sides are compared before the gate, once; what differs is noted */
#define COMPARE_ALL 1
#endif
#ifndef COMPARE_ONCE          /* however often the gate opens again, everything is not compared once more */
#define COMPARE_ONCE 1
#endif
#ifndef GATES_BOUNDED         /* a gate that fails so often isn't closed again */
#define GATES_BOUNDED 1
#endif
#ifndef COMPARE_NOTED         /* what is copied for a note after that is compared by itself */
#define COMPARE_NOTED 1
#endif
#ifndef REMOVE_GONE
#define REMOVE_GONE 1
#endif
#ifndef VALIDATE_WRITES
#define VALIDATE_WRITES 1
#endif
#ifndef VALIDATE_READS
#define VALIDATE_READS 1
#endif
#ifndef NO_LEASE_FROM_GATE
#define NO_LEASE_FROM_GATE 1
#endif
#ifndef WRITERS_WAIT
#define WRITERS_WAIT 1
#endif
#ifndef PLACE_PER_CLAIM
#define PLACE_PER_CLAIM 1
#endif
#ifndef GUARD_IN_CUTOVER
#define GUARD_IN_CUTOVER 1
#endif
#ifndef MARKER_BEFORE_UNNOTE  /* notes are removed only after the mover saw its marker in its place, after it copied */
#define MARKER_BEFORE_UNNOTE 1
#endif
#ifndef REGISTER_PLACE        /* a place is confirmed by compare-and-set on the guard before anything is copied into it */
#define REGISTER_PLACE 1
#endif
#ifndef KNOW_OWN_EFFECT
#define KNOW_OWN_EFFECT 1
#endif
#ifndef DOUBTFUL_PUT_IS_NO_ANSWER      /* a write done again at another place is applied only where its first try is provably missing */
#define DOUBTFUL_PUT_IS_NO_ANSWER 1
#endif
#ifndef DOUBTFUL_DELETE_IS_NO_ANSWER   /* and a delete that finds another document there doesn't count as done */
#define DOUBTFUL_DELETE_IS_NO_ANSWER 1
#endif
#ifndef SEAL_FOR_READERS      /* readers wait too from the last comparison to the cutover */
#define SEAL_FOR_READERS STRICT
#endif

#define NONE 0
#define JOURNAL 1
#define GATE 2
#define SEALED 3
#define ABSENT 7
#define BATCHES (SECOND == 1 -> 2 : 1)
#define BIT(i) (1 << (i))
#define HAS(set, i) (((set) >> (i)) & 1)
#define READER (WRITES + 1)

/* the organization's document */
byte place, phase, epoch, guard;
/* the watched document at each place: the id of the last write, and the ids of all writes it remembers (none: absent) */
byte last[3], ids[3];
byte marker[3];             /* in the place itself: 0 missing, else 1 + batches done */
byte notes;                 /* note documents. All are about the watched document, so only who saw one matters: bit 0 there is a note no mover
                               saw, bit 1 one that mover 1 saw, bit 2 mover 2, bit 3 both */
byte batch;                 /* which batch the watched document is in */
/* leases by holder: bit 0 a server's cache, 1..WRITES the writes, READER the read; aging[m]: those that end when mover m has waited */
byte lease, aging[3];
byte cachePlace, cachePhase, cacheEpoch;
/* the register that explains the client's observations */
byte current;               /* the value that was there when last something was certain */
byte pending;               /* writes that may still show: started, not answered to the client */
byte ended;                 /* those of them that a server acknowledged to a client that no longer waited */
byte newer;                 /* those that started after `current` was certain */
byte late;                  /* those whose effect arrived after their lease: until they are answered they may show and vanish (not if STRICT) */
byte deletes, waiting, before;

#define SHOWN(p) (ids[p] == 0 -> ABSENT : last[p])
#define INTO(me) (PLACE_PER_CLAIM -> me : 1)

inline take(q)    { lease = lease | BIT(q); aging[1] = aging[1] & ~BIT(q); aging[2] = aging[2] & ~BIT(q) }
inline release(q) { lease = lease & ~BIT(q); aging[1] = aging[1] & ~BIT(q); aging[2] = aging[2] & ~BIT(q) }
inline share(q)   { release(q);
  lease = lease | BIT(q); aging[1] = aging[1] | ((aging[1] & 1) << q); aging[2] = aging[2] | ((aging[2] & 1) << q) }
inline look(q) {      /* read the organization */
  where = place; what = phase; when = epoch;
  if :: phase < GATE || (phase == GATE && !NO_LEASE_FROM_GATE) -> take(q) :: else -> release(q) fi }
inline begin(q, readers) {
    if
    :: HAS(lease, 0) && (readers || cachePhase < GATE) -> where = cachePlace; what = cachePhase; when = cacheEpoch; share(q)
    :: phase < GATE || (readers && phase < SEALED) || !WRITERS_WAIT -> look(q);
       if
       :: !HAS(lease, 0) && HAS(lease, q) -> cachePlace = place; cachePhase = phase; cacheEpoch = epoch; take(0)
       :: skip       /* another server's, whose cache plays no part */
       fi
    fi }
inline waitBegins(me) { aging[me] = lease }
inline waitEnds(me) {
  d_step { lease = lease & ~aging[me]; aging[me] = 0;
    if :: !HAS(lease, 0) -> cachePlace = 0; cachePhase = 0; cacheEpoch = 0 :: else fi } }

#define note() notes = notes | 1
#define see(me) notes = (me == 1 -> ((notes & 5) << 1) | (notes & 10) : ((notes & 3) << 2) | (notes & 12))
#define unnote(me) notes = notes & ~(me == 1 -> 10 : 12)
inline put(p, k) { ids[p] = ids[p] | BIT(k); last[p] = k }
inline gone(p) { d_step { ids[p] = 0; last[p] = 0 } }
inline effect(k, del) {
  base = (ids[where] == 0 -> 0 : BIT(last[where]));
  if :: del -> gone(where) :: else -> put(where, k) fi;
  if :: !HAS(lease, k) && !STRICT -> late = late | BIT(k) :: else fi }

proctype Write(byte k; bool del) {
  byte where, what, when;
  byte at = ABSENT;           /* where it took effect last, if it did */
  byte base;                  /* the id of the write it was put upon, as a set; none: the document was absent */
  atomic { begin(k, false); if :: NOTE && what == JOURNAL -> skip :: else -> goto arrive fi }
noting:
  note();
arrive:
  atomic {
    if
    :: at == ABSENT && del && ids[where] == 0 -> skip            /* nothing to delete: that is the answer */
    :: at == ABSENT && !(del && ids[where] == 0) -> effect(k, del); at = where
    :: at != ABSENT && KNOW_OWN_EFFECT && at == where -> skip    /* already done, in this very place */
    :: at != ABSENT && !(KNOW_OWN_EFFECT && at == where) ->
       if
       :: KNOW_OWN_EFFECT && !del && HAS(ids[where], k) -> at = where
       :: del && ids[where] == 0 -> at = where
       :: !(KNOW_OWN_EFFECT && !del && HAS(ids[where], k)) && !(del && ids[where] == 0) ->
          if
          :: !KNOW_OWN_EFFECT || (base & ids[where]) -> effect(k, del); at = where
          :: KNOW_OWN_EFFECT && !(base & ids[where]) ->
             if
             :: (del -> DOUBTFUL_DELETE_IS_NO_ANSWER : DOUBTFUL_PUT_IS_NO_ANSWER) -> goto unknown
             :: del && !DOUBTFUL_DELETE_IS_NO_ANSWER -> at = where
             :: !del && !DOUBTFUL_PUT_IS_NO_ANSWER -> effect(k, del); at = where
             fi
          fi
       fi
    fi }
  if
  :: atomic { HAS(lease, k) || !VALIDATE_WRITES -> goto answered }
  :: atomic { !(HAS(lease, k) || !VALIDATE_WRITES) && NOTE && NOTE_AGAIN && what == JOURNAL -> note() }
  :: atomic { !(HAS(lease, k) || !VALIDATE_WRITES) && !(NOTE && NOTE_AGAIN && what == JOURNAL) -> goto check }
  fi;
check:
  if
  :: atomic { epoch == when && (phase < GATE || !WRITERS_WAIT) -> goto answered }
  :: atomic { epoch != when && phase < GATE -> look(k); if :: NOTE && what == JOURNAL -> goto noting :: else -> goto arrive fi }
  fi;
answered:
  atomic {
    late = late & ~BIT(k);
    if
    :: waiting == k -> current = (del -> ABSENT : k); newer = 0; pending = pending & ~before & ~BIT(k)
    :: else -> if :: HAS(pending, k) -> ended = ended | BIT(k) :: else fi
    fi;
unknown:
    release(k); if :: waiting == k -> waiting = 0; before = 0 :: else fi; where = 0; what = 0; when = 0; at = 0; base = 0 }
}

proctype Client() {
  byte k = 1, value, known, explained, where, what, when; bool del;
end:
  do
  :: atomic { known = ended; begin(READER, true) }
again:
     value = SHOWN(where);
     if
     :: atomic { HAS(lease, READER) || !VALIDATE_READS || epoch == when -> goto answer }
     :: atomic { !(HAS(lease, READER) || !VALIDATE_READS || epoch == when) && phase < SEALED -> value = 0; look(READER); goto again }
     fi;
answer:
     atomic {
       release(READER);
       if
       :: value == current && !(newer & known) -> pending = pending & ~known; newer = newer & ~known; ended = ended & pending
       :: else ->
          if
          :: value == ABSENT -> explained = pending & deletes
          :: value != ABSENT -> explained = pending & BIT(value) & ~deletes
          fi;
          assert(explained);
          if
          :: explained & late -> skip
          :: else -> current = value; newer = 0; pending = pending & ~explained & ~known; ended = ended & pending
          fi
       fi;
       value = 0; known = 0; explained = 0; where = 0; what = 0; when = 0 }
  :: atomic {
       k <= WRITES ->
       if :: del = false :: DELETES && deletes == 0 -> del = true; deletes = BIT(k) fi;
       pending = pending | BIT(k); newer = newer | BIT(k); waiting = k; before = ended;
       run Write(k, del); del = false; k++ }
     if
     :: waiting == 0
     :: atomic { waiting != 0 -> waiting = 0; before = 0 }   /* stops waiting */
     fi
  od
}

inline here()           { copied = ids[from]; value = last[from] }
inline there(me, wipes) { if :: copied || wipes -> ids[INTO(me)] = copied; last[INTO(me)] = value :: else fi; copied = 0; value = 0 }
inline forgotten()      { copied = 0; value = 0 }
#define DIFFERS(me) (ids[from] != ids[INTO(me)] || last[from] != last[INTO(me)])

proctype Mover(byte me) {
  byte from, done, copied, value;
#if FAULTY
  byte tries, rounds; bool verified, differs;
#endif
  atomic {
    if
    :: me == 1 -> guard = 1; phase = JOURNAL; epoch++
    :: me == 2 && SECOND == 3 -> (guard == 1 && place == 1); guard = 2; from = 1; phase = JOURNAL; epoch++
    :: me == 2 && SECOND < 3 -> guard == 1;
       if :: place != 0 -> goto stop :: else fi;
       guard = 2;
       if :: SECOND == 1 && phase >= GATE -> phase = JOURNAL; epoch++ :: else fi
    fi;
    waitBegins(me) }
#if SECOND == 2                     /* cancel: drop the place, then let go; then a new move, or none */
  if
  :: me == 2 ->
     atomic { aging[2] = 0; gone(INTO(1)); marker[INTO(1)] = 0 }
     atomic { phase = NONE; epoch++; if :: goto stop :: skip fi }
     atomic { phase = JOURNAL; epoch++; waitBegins(me) }
  :: else
  fi;
#endif
journal:
#if WAIT_IN_JOURNAL
  waitEnds(me);
#endif
  /* a place of its own: the predecessor's by renaming it, or a fresh one */
  d_step {
    if
    :: me == 2 && SECOND == 1 && PLACE_PER_CLAIM && marker[1] ->
       if
       :: SHARED -> marker[2] = 1
       :: else -> marker[2] = marker[1]; ids[2] = ids[1]; last[2] = last[1]; ids[1] = 0; last[1] = 0
       fi; marker[1] = 0
    :: else -> if :: marker[INTO(me)] == 0 -> marker[INTO(me)] = 1 :: else fi
    fi;
    done = marker[INTO(me)] - 1 }
#if REGISTER_PLACE && SECOND
  atomic { if :: guard != me -> goto stop :: else fi }
#endif
copy:
  do
  :: atomic { done < BATCHES ->
       if :: batch == done + 1 -> here() :: else -> goto mark fi }
     atomic { if :: there(me, false) :: FAULTY -> forgotten() fi }
mark:
     atomic { done++; if :: marker[INTO(me)] -> marker[INTO(me)] = done + 1 :: else -> if :: MARKER_BEFORE_UNNOTE -> goto stop :: else fi fi }
  :: atomic { done == BATCHES -> done = 0; break }
  od;
drain:
  do
  :: atomic { notes -> see(me); if :: SETTLE_LATE -> waitBegins(me) :: else fi }
#if SETTLE_LATE
     waitEnds(me);
#endif
     d_step { here() }
     atomic { if :: there(me, REMOVE_GONE) :: FAULTY -> forgotten() fi }
#if FAULTY && COMPARE_NOTED
     if :: atomic { verified -> differs = DIFFERS(me) } :: !verified fi;
#endif
#if MARKER_BEFORE_UNNOTE && SECOND
     atomic { if :: marker[INTO(me)] == 0 -> goto stop :: else fi }
#endif
#if FAULTY
     atomic { unnote(me); if :: differs -> note(); differs = false :: else fi }
  :: atomic { !verified -> break }
  :: atomic { verified -> if :: guard == me -> phase = GATE; epoch++; waitBegins(me); goto gate :: else -> goto stop fi }
  od;
verify:
  atomic { verified = true; rounds++; assert(rounds == 1); if :: COMPARE_ALL && DIFFERS(me) -> note() :: else fi; goto drain }
#else
     unnote(me)
  :: atomic { if :: guard == me -> phase = GATE; epoch++; waitBegins(me); break :: else -> goto stop fi }
  od;
#endif
gate:
#if WAIT_IN_GATE
  waitEnds(me);
#endif
#if SEAL_FOR_READERS
  atomic { if :: guard == me -> phase = SEALED; epoch++ :: else -> goto stop fi }
#endif
  atomic { if :: STRICT || (DRAIN_IN_GATE && notes) -> here() :: else -> goto cutover fi }
  atomic { if :: there(me, REMOVE_GONE) :: FAULTY -> forgotten() fi }
#if FAULTY && COMPARE_NOTED
  /* writers come first: the gate opens again, and the notes are there still */
  atomic {
    if
    :: DIFFERS(me) -> if :: guard == me -> phase = JOURNAL; epoch++; tries++ :: else -> goto stop fi;
       assert(tries <= TRIES);
       if :: tries == TRIES && GATES_BOUNDED -> goto stop :: else -> if :: !COMPARE_ONCE -> verified = false :: else fi; goto drain fi
    :: else
    fi }
#endif
cutover:
  atomic { if :: (guard == me || !GUARD_IN_CUTOVER) -> place = INTO(me); phase = NONE; epoch++ :: else -> goto stop fi }
clean:
  gone(from);
stop:
  atomic {
#if FAULTY
    tries = 0; rounds = 0; verified = false; differs = false;
#endif
    aging[me] = 0; from = 0; done = 0 }
}

init {
  atomic {
    if :: batch = 1 :: BATCHES == 2 -> batch = 2 fi;
    if :: ids[0] = 1 :: !PRESENT -> current = ABSENT fi;
    run Mover(1);
    if :: SECOND -> run Mover(2) :: else fi;
    run Client() }
}
