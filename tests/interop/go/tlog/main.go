// Verifies an exported audit log with what Go's checksum database uses, and nothing of taskpass:
// golang.org/x/mod/sumdb/note for signatures, golang.org/x/mod/sumdb/tlog for trees and proofs.
//
//	check [-since CHECKPOINT] [-proof FILE] FOLDER
//
// FOLDER holds one log for each month, 2026-11, and its key beside it, 2026-11.vkey. Each log's
// checkpoint must be signed, every tile must lead to its root, every entry must be the one that is
// hashed, and each month must begin with the last checkpoint of the month before. With -since, that
// checkpoint's log must have grown from it; with -proof, the entry in the .tlog-proof file must be in
// its log. Exit code 0: all of it held. 1: the last line says what did not.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
)

// month is the log of one month.
type month struct {
	folder   string
	verifier note.Verifier
	tree     tlog.Tree
	hashes   tlog.HashReader
}

// tiles reads the tiles of a log from its folder.
type tiles struct{ folder string }

func (tiles) Height() int                         { return height }
func (tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, 0, len(wanted))
	for _, tile := range wanted {
		bytes, err := t.read(tile)
		if err != nil {
			return nil, err
		}
		found = append(found, bytes)
	}
	return found, nil
}

// read reads a tile; a log that has gone on may have the full one only.
func (t tiles) read(tile tlog.Tile) ([]byte, error) {
	bytes, err := os.ReadFile(t.path(tile))
	if !errors.Is(err, os.ErrNotExist) || tile.W == width {
		return bytes, err
	}
	full := tile
	full.W = width
	bytes, err = os.ReadFile(t.path(full))
	if err == nil && tile.L >= 0 && len(bytes) >= tile.W*tlog.HashSize {
		bytes = bytes[:tile.W*tlog.HashSize]
	}
	return bytes, err
}

// path translates tile/8/0/000 to tile/0/000, and tile/8/data/000 to tile/entries/000.
func (t tiles) path(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	if rest, ok := strings.CutPrefix(path, "data/"); ok {
		path = "entries/" + rest
	}
	return filepath.Join(t.folder, "tile", filepath.FromSlash(path))
}

// openTree opens a signed checkpoint.
func openTree(text []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	origin, rest, _ := strings.Cut(opened.Text, "\n")
	if origin != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("the checkpoint is of log %s, expected %s", origin, verifier.Name())
	}
	// The package knows its own first line only.
	return tlog.ParseTree([]byte("go.sum database tree\n" + rest))
}

func openMonth(root, name string) (*month, error) {
	vkey, err := os.ReadFile(filepath.Join(root, name+".vkey"))
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(verifier.Name(), "/"+name) {
		return nil, fmt.Errorf("the key is of log %s", verifier.Name())
	}
	folder := filepath.Join(root, name)
	checkpoint, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return nil, err
	}
	tree, err := openTree(checkpoint, verifier)
	if err != nil {
		return nil, err
	}
	return &month{folder, verifier, tree, tlog.TileHashReader(tree, tiles{folder})}, nil
}

// entries reads a bundle, of which the log has count entries.
func (m *month) entries(bundle int64, count int) ([][]byte, error) {
	tile := tlog.Tile{H: height, L: -1, N: bundle, W: count}
	bytes, err := tiles{m.folder}.read(tile)
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(entries) < count {
		if len(bytes) < 2 || len(bytes) < 2+int(binary.BigEndian.Uint16(bytes)) {
			return nil, fmt.Errorf("bundle %d is cut off", bundle)
		}
		length := int(binary.BigEndian.Uint16(bytes))
		entries = append(entries, bytes[2:2+length])
		bytes = bytes[2+length:]
	}
	return entries, nil
}

// check compares every entry to the hash that the tree has of it; returns the first entry.
func (m *month) check() ([]byte, error) {
	root, err := tlog.TreeHash(m.tree.N, m.hashes)
	if err != nil {
		return nil, err
	}
	if root != m.tree.Hash {
		return nil, fmt.Errorf("the tiles give the root %v, expected %v", root, m.tree.Hash)
	}
	var first []byte
	for bundle := int64(0); bundle*width < m.tree.N; bundle++ {
		entries, err := m.entries(bundle, int(min(width, m.tree.N-bundle*width)))
		if err != nil {
			return nil, err
		}
		if bundle == 0 {
			first = entries[0]
		}
		indexes := make([]int64, len(entries))
		for i := range entries {
			indexes[i] = tlog.StoredHashIndex(0, bundle*width+int64(i))
		}
		hashes, err := m.hashes.ReadHashes(indexes)
		if err != nil {
			return nil, err
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != hashes[i] {
				return nil, fmt.Errorf("entry %d is not the one that was hashed", bundle*width+int64(i))
			}
		}
	}
	return first, m.prove()
}

// prove makes proofs from the tiles, and checks them: of a few entries, and from a few sizes.
func (m *month) prove() error {
	for _, index := range []int64{0, m.tree.N / 2, m.tree.N - 1} {
		proof, err := tlog.ProveRecord(m.tree.N, index, m.hashes)
		if err != nil {
			return err
		}
		bundle := index / width
		entries, err := m.entries(bundle, int(min(width, m.tree.N-bundle*width)))
		if err != nil {
			return err
		}
		hash := tlog.RecordHash(entries[index%width])
		if err := tlog.CheckRecord(proof, m.tree.N, m.tree.Hash, index, hash); err != nil {
			return fmt.Errorf("the proof of entry %d: %w", index, err)
		}
	}
	for _, size := range []int64{1, (m.tree.N + 1) / 2, m.tree.N} {
		hash, err := tlog.TreeHash(size, m.hashes)
		if err != nil {
			return err
		}
		if err := m.grew(tlog.Tree{N: size, Hash: hash}); err != nil {
			return err
		}
	}
	return nil
}

// grew proves that the log continues an older tree.
func (m *month) grew(old tlog.Tree) error {
	if old.N < 1 || old.N > m.tree.N {
		return fmt.Errorf("the log has %d entries, but had %d", m.tree.N, old.N)
	}
	proof, err := tlog.ProveTree(m.tree.N, old.N, m.hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, m.tree.N, m.tree.Hash, old.N, old.Hash)
}

// follows compares the checkpoint that a month begins with to that of the month before.
func (m *month) follows(first []byte, before *month) error {
	var entry struct {
		Kind string
		Log  struct{ Origin, Previous string }
	}
	if err := json.Unmarshal(first, &entry); err != nil {
		return err
	}
	if entry.Kind != "log" || entry.Log.Origin != m.verifier.Name() {
		return fmt.Errorf("the first entry does not name the log: %s", first)
	}
	if before == nil {
		return nil
	}
	previous, err := openTree([]byte(entry.Log.Previous), before.verifier)
	if err != nil {
		return err
	}
	if previous != before.tree {
		return fmt.Errorf("it begins after %v, but the month before ends at %v", previous, before.tree)
	}
	return nil
}

// find finds the log of a checkpoint, and opens that.
func find(months []*month, checkpoint []byte) (*month, tlog.Tree, error) {
	origin, _, _ := strings.Cut(string(checkpoint), "\n")
	for _, m := range months {
		if m.verifier.Name() == origin {
			tree, err := openTree(checkpoint, m.verifier)
			return m, tree, err
		}
	}
	return nil, tlog.Tree{}, fmt.Errorf("the log %s is not here", origin)
}

// checkProof checks a proof file whose entry is in its extra line.
func checkProof(months []*month, file string) error {
	bytes, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, checkpoint, found := strings.Cut(string(bytes), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("it is not a proof with an entry")
	}
	extra, isExtra := strings.CutPrefix(lines[1], "extra ")
	number, isIndex := strings.CutPrefix(lines[2], "index ")
	if !isExtra || !isIndex {
		return errors.New("expected the lines `extra` and `index`")
	}
	entry, err := base64.StdEncoding.DecodeString(extra)
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	_, tree, err := find(months, []byte(checkpoint))
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

func openAll(root string) ([]*month, error) {
	names, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var months []*month
	var before *month
	isMonth := regexp.MustCompile(`^\d{4}-\d{2}$`)
	for _, entry := range names {
		name := entry.Name()
		if !entry.IsDir() || !isMonth.MatchString(name) {
			continue
		}
		m, err := openMonth(root, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		first, err := m.check()
		if err == nil {
			err = m.follows(first, before)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		months = append(months, m)
		before = m
	}
	if len(months) == 0 {
		return nil, fmt.Errorf("%s holds no log", root)
	}
	return months, nil
}

func run(root, since, proof string) error {
	months, err := openAll(root)
	if err != nil {
		return err
	}
	if since != "" {
		checkpoint, err := os.ReadFile(since)
		if err != nil {
			return err
		}
		m, old, err := find(months, checkpoint)
		if err != nil {
			return err
		}
		if err := m.grew(old); err != nil {
			return fmt.Errorf("%s: %w", m.verifier.Name(), err)
		}
		fmt.Printf("ok: %s has grown from %d entries to %d\n", m.verifier.Name(), old.N, m.tree.N)
	}
	if proof != "" {
		if err := checkProof(months, proof); err != nil {
			return fmt.Errorf("%s: %w", proof, err)
		}
		fmt.Println("ok: the entry of the proof is in its log")
	}
	for _, m := range months {
		fmt.Printf("ok: %s, %d entries, root %v\n", m.verifier.Name(), m.tree.N, m.tree.Hash)
	}
	return nil
}

func main() {
	since := flag.String("since", "", "a checkpoint from which its log must have grown")
	proof := flag.String("proof", "", "a .tlog-proof file whose entry must be in its log")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *since, *proof); err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}
