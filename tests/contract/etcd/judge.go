// Judge makes snapshots with a real etcd, and restores them with it.
//
//	judge make FILE KEYS   start an etcd, put KEYS keys as Kubernetes would, save a snapshot
//	judge restore FILE     check and restore the snapshot, start an etcd on it
//
// Both print what that etcd holds: how many keys, a hash of all of them, its revision. The listening addresses
// are of the loopback interface.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

const (
	name = "judge"
	peer = "http://127.0.0.1:2380" // told to the cluster of one, listened on by nobody
)

type holds struct {
	Keys     int64  `json:"keys"`
	Hash     string `json:"hash"`
	Revision int64  `json:"revision"`
}

func main() {
	folder, err := os.MkdirTemp("", "etcd-judge-")
	if err == nil {
		err = run(folder)
		os.RemoveAll(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder string) error {
	if len(os.Args) == 4 && os.Args[1] == "make" {
		count, err := strconv.Atoi(os.Args[3])
		if err != nil {
			return err
		}
		return make_(filepath.Join(folder, "data"), os.Args[2], count)
	}
	if len(os.Args) == 3 && os.Args[1] == "restore" {
		return restore(filepath.Join(folder, "data"), os.Args[2])
	}
	return fmt.Errorf("usage: judge make FILE KEYS | judge restore FILE")
}

func make_(data, file string, count int) error {
	return with(data, func(ctx context.Context, client *clientv3.Client) error {
		for i := range count {
			key := fmt.Sprintf("/registry/configmaps/default/item-%05d", i)
			value := fmt.Sprintf("value %d %x", i, sha256.Sum256([]byte(key)))
			if _, err := client.Put(ctx, key, value); err != nil {
				return err
			}
			if i%5 == 0 { // older revisions, and keys that are gone
				if _, err := client.Put(ctx, key, value+" again"); err != nil {
					return err
				}
			}
			if i%7 == 0 {
				if _, err := client.Put(ctx, key+"-gone", value); err != nil {
					return err
				}
				if _, err := client.Delete(ctx, key+"-gone"); err != nil {
					return err
				}
			}
		}
		if err := tell(ctx, client); err != nil {
			return err
		}
		stream, err := client.Snapshot(ctx)
		if err != nil {
			return err
		}
		defer stream.Close()
		out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, stream); err != nil {
			return err
		}
		return out.Close()
	})
}

func restore(data, file string) error {
	err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath:        file,
		Name:                name,
		OutputDataDir:       data,
		PeerURLs:            []string{peer},
		InitialCluster:      name + "=" + peer,
		InitialClusterToken: "restored",
	})
	if err != nil {
		return err
	}
	return with(data, tell)
}

func with(data string, work func(context.Context, *clientv3.Client) error) error {
	config := embed.NewConfig()
	config.Name, config.Dir, config.LogLevel = name, data, "fatal"
	config.UnsafeNoFsync = true
	any_, told := mustParse("http://127.0.0.1:0"), mustParse(peer)
	config.ListenPeerUrls, config.ListenClientUrls = []url.URL{any_}, []url.URL{any_}
	config.AdvertisePeerUrls, config.AdvertiseClientUrls = []url.URL{told}, []url.URL{told}
	config.InitialCluster = name + "=" + peer
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	select {
	case <-server.Server.ReadyNotify():
	case <-ctx.Done():
		return fmt.Errorf("etcd did not become ready")
	}
	return work(ctx, v3client.New(server.Server))
}

func tell(ctx context.Context, client *clientv3.Client) error {
	all, err := client.Get(ctx, "", clientv3.WithFromKey(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
	if err != nil {
		return err
	}
	sum := sha256.New()
	for _, pair := range all.Kvs {
		fmt.Fprintf(sum, "%d %s %d %s %d %d\n", len(pair.Key), pair.Key, len(pair.Value), pair.Value, pair.ModRevision, pair.Version)
	}
	found := holds{all.Count, hex.EncodeToString(sum.Sum(nil)), all.Header.Revision}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func mustParse(text string) url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return *parsed
}
